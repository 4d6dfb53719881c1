//! Random expressions as a user could write them, most of which make sense.

use super::random::Random;
use super::world::World;

/// Writes expressions over the variables of a world.
pub(crate) struct Grammar<'a> {
    pub(crate) world: &'a World,
    pub(crate) random: &'a mut Random,
    /// How many `$_changed` may still be written.
    pub(crate) changed: usize,
}

const TYPES: [&str; 11] = [
    "signed char",
    "unsigned char",
    "short",
    "unsigned short",
    "int",
    "unsigned int",
    "long",
    "unsigned long",
    "bool",
    "float",
    "double",
];

const MEMBERS: [&str; 17] = [
    "value", "count", "half", "small", "byte", "low", "delta", "wide", "last", "big", "sbig",
    "tiny", "stiny", "all", "flag", "total", "size",
];

const LITERALS: [&str; 22] = [
    "1000",
    "1000000007ul",
    "-1",
    "(-2147483647 - 1)",
    "(-9223372036854775807 - 1)",
    "-7",
    "0",
    "1",
    "2",
    "3",
    "-1",
    "5",
    "7",
    "8",
    "'a'",
    "0x7f",
    "0xff",
    "255u",
    "0x7fffffff",
    "0x80000000",
    "1234567890123",
    "0xffffffffffffffff",
];

const FLOATS: [&str; 12] =
    ["0.0", "1.0", "1.5", "2.5", "-2.5", "3.0", "0.1", "1e19", "1e300", "1.5f", "2.5f", "1e-40"];

impl Grammar<'_> {
    pub(crate) fn condition(&mut self, depth: u32) -> String {
        if depth == 0 {
            return self.comparison(0);
        }
        match self.random.below(10) {
            0 | 1 => format!("({} && {})", self.condition(depth - 1), self.condition(depth - 1)),
            2 => format!("({} || {})", self.condition(depth - 1), self.condition(depth - 1)),
            3 => format!("!({})", self.condition(depth - 1)),
            4 => self.text_comparison(),
            5 if self.changed > 0 => {
                self.changed -= 1;
                format!("$_changed({})", self.object())
            }
            6 => self.int(depth),
            _ => self.comparison(depth),
        }
    }

    fn comparison(&mut self, depth: u32) -> String {
        let op = self.random.pick(&["==", "!=", "<", "<=", ">", ">="]);
        match self.random.below(8) {
            0 | 1 => format!("({} {op} {})", self.float(depth), self.float(depth)),
            2 => format!("({} {op} {})", self.node(depth), self.node(depth)),
            3 => format!("({} {op} {})", self.float(depth), self.int(depth)),
            _ => format!("({} {op} {})", self.int(depth), self.int(depth)),
        }
    }

    fn text_comparison(&mut self) -> String {
        let op = self.random.pick(&["==", "!="]);
        format!("({} {op} {})", self.text(), self.text())
    }

    fn text(&mut self) -> String {
        match self.random.below(8) {
            0..=2 => self.random.pick(&LITERAL_TEXTS).to_owned(),
            3 => format!("{}->text", self.node(0)),
            4 => format!("{}->name", self.node(0)),
            5 => self.random.pick(&["$_process_name", "$_machine"]).to_owned(),
            _ => name(self.random, &self.world.texts),
        }
    }

    /// What `$_changed` may look at.
    fn object(&mut self) -> String {
        match self.random.below(8) {
            0 => format!("{}->name", self.node(0)),
            1 => format!("*{}", self.node(0)),
            2 => self.text(),
            3 => name(self.random, &self.world.floats),
            4 => format!("{}->{}", self.node(0), self.random.pick(&MEMBERS)),
            5 => self.int(2),
            _ => name(self.random, &self.world.ints),
        }
    }

    pub(crate) fn remembered(&mut self) -> String {
        self.object()
    }

    fn int(&mut self, depth: u32) -> String {
        if depth == 0 || self.random.one_in(6) {
            return self.int_leaf();
        }
        let less = depth - 1;
        match self.random.below(12) {
            0 => format!("-{}", self.atom(less)),
            1 => format!("~{}", self.atom(less)),
            2 => {
                let ty = self.random.pick(&TYPES[..9]);
                format!("(({ty}){})", self.atom(less))
            }
            3 => {
                let ty = self.random.pick(&TYPES[..8]);
                format!("(({ty})({}))", self.float(less))
            }
            4 => format!("({} ? {} : {})", self.condition(less), self.int(less), self.int(less)),
            5 => format!("({})", self.comparison(less)),
            6 => {
                let count = self.int(less);
                let op = self.random.pick(&["<<", ">>"]);
                let mask = self.random.pick(&["", " & 63", " & 31", " & 7"]);
                format!("({} {op} ({count}{mask}))", self.int(less))
            }
            7 => {
                let array = name(self.random, &self.world.numbers);
                format!("{array}[{} & 7]", self.atom(less))
            }
            _ => {
                let op = self.random.pick(&["+", "-", "*", "/", "%", "&", "|", "^", "+", "&"]);
                format!("({} {op} {})", self.int(less), self.int(less))
            }
        }
    }

    fn atom(&mut self, depth: u32) -> String {
        format!("({})", self.int(depth))
    }

    fn int_leaf(&mut self) -> String {
        match self.random.below(11) {
            0..=3 => name(self.random, &self.world.ints),
            10 => self.of_rare_kind(),
            4..=6 => self.random.pick(&LITERALS).to_owned(),
            7 => format!("{}->{}", self.node(1), self.random.pick(&MEMBERS)),
            8 => match self.random.below(4) {
                0 => format!("*{}", name(self.random, &self.world.numbers)),
                1 => format!("{}->list[{}]", self.node(0), self.random.below(4)),
                2 => format!("whole{}.{}", self.random.below(3), self.random.pick(&MEMBERS)),
                _ => self.register(),
            },
            _ => self.random.pick(&["$_tid", "$_thread", "$_pid", "$_hits"]).to_owned(),
        }
    }

    fn of_rare_kind(&mut self) -> String {
        let copy = self.random.below(2);
        match self.random.below(7) {
            0 => format!("({}->*member{copy})", self.node(0)),
            1 => format!("(whole{}.*member{copy})", self.random.below(3)),
            2 => format!("lost_node{copy}->{}", self.random.pick(&MEMBERS)),
            3 => format!("*lost_int{copy}"),
            4 => {
                let (row, column) = (self.random.below(4), self.random.below(4));
                format!("rows[{row}][{column}]")
            }
            5 => format!("rows[{} & 3][1]", name(self.random, &self.world.ints)),
            _ => self.random.pick(&["sizeof rows", "sizeof rows[1]"]).to_owned(),
        }
    }

    fn register(&mut self) -> String {
        let names = [
            "$rax", "$rbx", "$rcx", "$rdx", "$rsi", "$rdi", "$rbp", "$rsp", "$r8", "$r15", "$eax",
            "$ah", "$dl", "$si", "$r9d", "$rip",
        ];
        self.random.pick(&names).to_owned()
    }

    fn float(&mut self, depth: u32) -> String {
        if depth == 0 || self.random.one_in(4) {
            return match self.random.below(9) {
                8 => {
                    let part = self.random.pick(&["$_creal", "$_cimag"]);
                    format!("{part}(wave{})", self.random.below(2))
                }
                0..=3 => name(self.random, &self.world.floats),
                4 => format!("{}->ratio", self.node(0)),
                5 => format!("{}->part", self.node(0)),
                _ => self.random.pick(&FLOATS).to_owned(),
            };
        }
        let less = depth - 1;
        match self.random.below(6) {
            0 => format!("-({})", self.float(less)),
            1 => {
                let ty = self.random.pick(&TYPES[9..]);
                format!("(({ty})({}))", self.float(less))
            }
            2 => {
                let ty = self.random.pick(&TYPES[9..]);
                format!("(({ty})({}))", self.int(less))
            }
            3 => {
                format!("({} ? {} : {})", self.condition(less), self.float(less), self.float(less))
            }
            _ => {
                let op = self.random.pick(&["+", "-", "*", "/"]);
                format!("({} {op} {})", self.float(less), self.float(less))
            }
        }
    }

    fn node(&mut self, depth: u32) -> String {
        let name = name(self.random, &self.world.nodes);
        match self.random.below(8) {
            0 if depth > 0 => format!("({name} + ({} & 1))", self.int(depth - 1)),
            1 if depth > 0 => {
                let condition = self.condition(depth - 1);
                format!("({condition} ? {name} : {})", self.node(depth - 1))
            }
            2 => format!("{name}->next"),
            3 => format!("{name}->next->next"),
            _ => name,
        }
    }
}

const LITERAL_TEXTS: [&str; 11] = [
    "\"\"",
    "\"a\"",
    "\"ab\"",
    "\"hell\"",
    "\"hello\"",
    "\"help me\"",
    "\"hello, w\"",
    "\"hello, world\"",
    "\"hello, worlds apart\"",
    "\"a text of some length, which is more than thirty-two bytes\"",
    "\"a\\0b\"",
];

fn name(random: &mut Random, names: &[String]) -> String {
    names[random.below(names.len() as u64) as usize].clone()
}
