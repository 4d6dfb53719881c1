//! For whom a site is there: nearly always for one, sometimes for many.

use std::ops::Deref;

use super::Owner;

/// The owners of a site, sorted, each once. A single one takes no memory of its
/// own.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Owners(Few);

#[derive(Clone, PartialEq, Eq, Debug)]
enum Few {
    One(Owner),
    /// None, or at least two.
    Many(Box<[Owner]>),
}

impl Default for Owners {
    fn default() -> Self {
        Self(Few::Many(Box::default()))
    }
}

impl Deref for Owners {
    type Target = [Owner];

    fn deref(&self) -> &[Owner] {
        match &self.0 {
            Few::One(owner) => std::slice::from_ref(owner),
            Few::Many(owners) => owners,
        }
    }
}

impl FromIterator<Owner> for Owners {
    fn from_iter<T: IntoIterator<Item = Owner>>(owners: T) -> Self {
        let mut owners = owners.into_iter();
        let (first, second) = (owners.next(), owners.next());
        if let (Some(only), None) = (first, second) {
            return Self(Few::One(only));
        }
        let mut all: Vec<Owner> = first.into_iter().chain(second).chain(owners).collect();
        all.sort_unstable();
        all.dedup();
        match all[..] {
            [only] => Self(Few::One(only)),
            _ => Self(Few::Many(all.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_are_sorted_and_each_is_there_once() {
        let check = |given: &[u32], expected: &[u32]| {
            let owners: Owners = given.iter().copied().map(Owner::Internal).collect();
            let expected: Vec<Owner> = expected.iter().copied().map(Owner::Internal).collect();
            assert_eq!(*owners, *expected, "{given:?}");
            assert_eq!(owners, expected.into_iter().collect(), "{given:?}");
        };
        check(&[], &[]);
        check(&[4], &[4]);
        check(&[4, 4], &[4]);
        check(&[3, 1, 3, 2], &[1, 2, 3]);
    }
}
