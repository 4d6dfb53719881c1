// The demonstration: several tellers, each a thread, run deposits and
// withdrawals over shared accounts. At the end the program reads its own code
// and prints the bytes it sees at `deposit`, whatever a debugger says is there.
// Usage: demo_bank [TELLERS [ROUNDS]]
// Prints: tellers=T deposits=D withdrawals=W refused=R balance=B
//         own_code_at_deposit=HEX

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum { ACCOUNTS = 4, MAX_TELLERS = 64, SHOWN = 8 };

struct account {
    const char *owner;
    long balance;
    long movements;
    pthread_mutex_t lock;
};

struct account accounts[ACCOUNTS] = {
    {"ada", 100, 0, PTHREAD_MUTEX_INITIALIZER},
    {"grace", 100, 0, PTHREAD_MUTEX_INITIALIZER},
    {"edsger", 100, 0, PTHREAD_MUTEX_INITIALIZER},
    {"barbara", 100, 0, PTHREAD_MUTEX_INITIALIZER},
};

static int rounds = 500;
static atomic_long deposits, withdrawals, refused;
long largest_deposit;

__attribute__((noinline)) void deposit(struct account *account, long amount) { // @mark deposit
    pthread_mutex_lock(&account->lock);
    account->balance += amount; // @mark deposit_balance
    account->movements++;
    if (amount > largest_deposit)
        largest_deposit = amount; // @mark record
    pthread_mutex_unlock(&account->lock);
    atomic_fetch_add(&deposits, 1);
}

__attribute__((noinline)) int withdraw(struct account *account, long amount) { // @mark withdraw
    pthread_mutex_lock(&account->lock);
    int enough = account->balance >= amount;
    if (enough) {
        account->balance -= amount; // @mark withdraw_balance
        account->movements++;
    }
    pthread_mutex_unlock(&account->lock);
    atomic_fetch_add(enough ? &withdrawals : &refused, 1);
    return enough;
}

static void *teller(void *argument) {
    long seed = (long)argument;
    for (int round = 0; round < rounds; round++) {
        struct account *account = &accounts[(seed + round) % ACCOUNTS];
        long amount = 1 + (seed * 7 + round * 13) % 40;
        deposit(account, amount);
        withdraw(account, amount + round % 3); // @mark turn
    }
    return NULL;
}

static void print_own_code(void) {
    const volatile unsigned char *code = (const volatile unsigned char *)deposit;
    printf("own_code_at_deposit=");
    for (int i = 0; i < SHOWN; i++)
        printf("%s%02x", i ? " " : "", code[i]);
    putchar('\n');
}

int main(int argc, char **argv) { // @mark main
    int tellers = argc > 1 ? atoi(argv[1]) : 4;
    rounds = argc > 2 ? atoi(argv[2]) : rounds;
    pthread_t handles[MAX_TELLERS];
    if (tellers < 1 || tellers > MAX_TELLERS)
        return 2;
    for (long i = 0; i < tellers; i++)
        if (pthread_create(&handles[i], NULL, teller, (void *)i))
            return 3;
    for (int i = 0; i < tellers; i++)
        pthread_join(handles[i], NULL);
    long balance = 0;
    for (int i = 0; i < ACCOUNTS; i++)
        balance += accounts[i].balance;
    printf("tellers=%d deposits=%ld withdrawals=%ld refused=%ld balance=%ld\n", tellers, deposits, withdrawals,
           refused, balance);
    print_own_code(); // @mark end
    return 0;
}
