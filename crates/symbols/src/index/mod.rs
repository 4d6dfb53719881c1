//! Names of an image: which entries bear one, and which are copies of others.
//!
//! A name is found without an index of the image: `spelling` tells by the bytes
//! of the debug information which units can have it, and only they are read,
//! and kept. Whoever asks for many names has all units read, see
//! [`Image::names_of_all`].

mod spelling;
mod unit;

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

use crate::image::{Image, Progress, ProgressFn};
use crate::names;
use crate::near::Near;
use crate::units::{DieRef, UnitId};
pub(crate) use spelling::Spelling;
pub(crate) use unit::{NameKind, Named, UnitNames};

impl Image {
    /// The names of a unit.
    pub(crate) fn names_of(&self, id: UnitId) -> Option<&UnitNames> {
        let names = &self.unit_code(id)?.names;
        Some(names.get_or_init(|| UnitNames::read(self.units(), id)))
    }

    /// The names of some units, in their order; reads those that nobody asked
    /// for yet on all processors.
    fn names_of_each(&self, ids: &[UnitId], bar: &Bar) -> Vec<&UnitNames> {
        let is_read = |id: &UnitId| self.unit_code(*id).is_none_or(|it| it.names.get().is_some());
        if ids.iter().all(is_read) {
            return ids.iter().filter_map(|id| self.names_of(*id)).collect();
        }
        let read = |id: &UnitId| {
            let names = self.names_of(*id);
            bar.advance(self.options().progress.as_ref());
            names
        };
        let names: Vec<_> = ids.par_iter().map(read).collect();
        names.into_iter().flatten().collect()
    }

    /// The names of all units.
    pub(crate) fn names_of_all(&self) -> Vec<&UnitNames> {
        let ids: Vec<UnitId> = self.units().ids().collect();
        let names = self.names_of_each(&ids, &Bar::to(ids.len()));
        self.units().give_back();
        names
    }

    /// Entries of a kind.
    pub(crate) fn all_named(&self, kind: NameKind) -> impl Iterator<Item = Named<'_>> {
        self.names_of_all().into_iter().flat_map(move |unit| unit.all(kind))
    }

    /// Entries whose own name, without template arguments, is `key`, unit by
    /// unit. Units are read as far as somebody looks, ever more at a time.
    pub(crate) fn named<'a>(
        &'a self,
        key: &'a str,
        kind: NameKind,
    ) -> impl Iterator<Item = Named<'a>> {
        let ids = self.units_spelling(key);
        let bar = Bar::to(ids.len());
        let mut read = 0;
        let some = std::iter::from_fn(move || {
            let from = read;
            read = ids.len().min(2 * from + 1);
            (from < read).then(|| self.names_of_each(&ids[from..read], &bar))
        });
        some.flatten().flat_map(move |unit| unit.named(key, kind))
    }

    /// As [`Self::named`], those of a place's own unit first, which has all that
    /// its code refers to.
    pub(crate) fn named_near<'a>(
        &'a self,
        key: &'a str,
        kind: NameKind,
        near: Option<&Near>,
    ) -> impl Iterator<Item = Named<'a>> {
        let own = near.map(|near| near.unit);
        let own = own.and_then(|unit| self.names_of(unit)).into_iter();
        own.flat_map(move |unit| unit.named(key, kind)).chain(self.named(key, kind))
    }

    /// How many names there are, and, of some thousands of them, those whose
    /// units a search would leave unread: none, or the search is wrong. For
    /// tests.
    pub(crate) fn missed_by_search(&self) -> (usize, Vec<String>) {
        const SOME: usize = 2000;
        let kinds = [NameKind::Function, NameKind::Global, NameKind::Type, NameKind::Enumerator];
        let all: Vec<Named<'_>> = kinds.into_iter().flat_map(|kind| self.all_named(kind)).collect();
        let mut known = HashMap::new();
        let some = all.iter().step_by(all.len().div_ceil(SOME).max(1));
        let missed = some.filter(|name| {
            let key = names::base(name.text());
            let found = known.entry(key).or_insert_with(|| spelling::search(self.units(), key));
            !found.contains(&name.die().unit)
        });
        (all.len(), missed.map(|name| name.qualified()).collect())
    }

    /// Entries that name any of `origins` as their specification or abstract
    /// origin: of the origins' own units, and of those that refer to them from
    /// outside.
    pub(crate) fn instances(&self, origins: &[DieRef]) -> Vec<DieRef> {
        let others = self.units_referring(origins);
        let others = self.names_of_each(&others, &Bar::to(others.len()));
        let of = |origin: &DieRef| {
            let own = self.names_of(origin.unit);
            let all = own.into_iter().chain(others.iter().copied());
            all.flat_map(|unit| unit.instances(*origin)).collect::<Vec<_>>()
        };
        let mut found: Vec<DieRef> = origins.iter().flat_map(of).collect();
        found.sort_unstable();
        found.dedup();
        found
    }
}

/// How far reading units for one question is.
struct Bar {
    done: AtomicUsize,
    total: usize,
}

impl Bar {
    fn to(total: usize) -> Self {
        Self { done: AtomicUsize::new(0), total }
    }

    fn advance(&self, report: Option<&ProgressFn>) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        if let Some(report) = report {
            report(Progress { done, total: self.total });
        }
    }
}
