//! Looking for what a breakpoint's subject names in the images of a space:
//! a pure reading of images, which any thread may do. What becomes of what was
//! found is left to `binding`.

use std::collections::BTreeSet;

use trapline_core::{ImageAddr, ModuleId, VirtAddr};

use crate::breakpoints::{Anchor, Breakpoint};
use crate::place::{self, Effort, FoundPlace, Lookup, PlaceText, Sought};
use crate::space::{Module, Modules};

/// Most locations that one `rbreak` may set.
const MAX_FUNCTIONS: usize = 100_000;

/// A place to bind a location to.
pub(super) struct Found {
    pub(super) anchor: Anchor,
    pub(super) addr: VirtAddr,
    pub(super) place: Option<FoundPlace>,
}

/// Which images to look in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Among {
    /// All of them.
    All,
    /// Those that were loaded just now.
    These(Vec<ModuleId>),
}

impl Among {
    pub(super) fn has(&self, module: ModuleId) -> bool {
        match self {
            Self::All => true,
            Self::These(ids) => ids.contains(&module),
        }
    }

    /// Whether something tied to such a place is in them.
    pub(super) fn covers(&self, anchor: Anchor) -> bool {
        matches!(anchor, Anchor::Image(module, _) if self.has(module))
    }
}

/// Where to look, and how far to go while nothing is found.
#[derive(Clone, Copy)]
pub(super) struct Where<'a> {
    pub(super) among: &'a Among,
    pub(super) furthest: Effort,
}

/// Where a new breakpoint is looked for.
pub(super) const EVERYWHERE: Where<'_> = Where { among: &Among::All, furthest: Effort::Everything };

/// All that was found for a subject in a set of images.
#[derive(Default)]
pub(super) struct Search {
    /// The images that were looked in, and how far.
    pub(super) looked: Vec<(ModuleId, Effort)>,
    pub(super) found: Vec<Found>,
    pub(super) notes: Vec<String>,
    pub(super) reasons: Vec<String>,
    pub(super) candidates: Vec<String>,
}

pub(super) fn found_in(module: &Module, place: ImageAddr) -> Found {
    Found {
        anchor: Anchor::Image(module.id(), place),
        addr: module.bias.to_virt(place),
        place: Some(place::found_at(&module.image, place, None)),
    }
}

pub(super) fn found_at(modules: &Modules, addr: VirtAddr) -> Found {
    match modules.at(addr) {
        Some(module) => found_in(module, module.to_image(addr)),
        None => Found { anchor: Anchor::Address(addr), addr, place: None },
    }
}

/// Looks for what is sought in every image.
pub(super) fn search(
    modules: &Modules,
    sought: &Sought,
    default_file: Option<&str>,
    scope: Where<'_>,
) -> Search {
    let mut search = Search::default();
    match sought {
        Sought::Place(text) => {
            search = search_place(modules, text, default_file, scope);
            if search.found.is_empty() && *scope.among == Among::All {
                let images = modules.in_load_order().map(|module| &module.image);
                search.candidates =
                    images.flat_map(|image| place::candidates(image, text, default_file)).collect();
            }
        }
        Sought::Functions(pattern) => {
            for module in modules.in_load_order().filter(|module| scope.among.has(module.id())) {
                let functions = module.image.functions_matching(pattern);
                let places =
                    functions.into_iter().filter(|function| !function.inlined).map(|function| {
                        place::found_at(&module.image, function.prologue_end, Some(&function.name))
                    });
                let places = places.take(MAX_FUNCTIONS).collect();
                search.looked.push((module.id(), Effort::Everything));
                search.add(module, Lookup { places, ..Lookup::default() });
            }
            if search.found.is_empty() {
                search.reasons.push(format!("no function matches `{pattern}`"));
            }
        }
        Sought::Data | Sought::Given => {}
    }
    search
}

/// Looks a place up where it is likely, and if it is nowhere there, as far as
/// the scope allows.
fn search_place(
    modules: &Modules,
    text: &PlaceText,
    default_file: Option<&str>,
    scope: Where<'_>,
) -> Search {
    let with = |effort| {
        let mut search = Search::default();
        for module in modules.in_load_order().filter(|module| scope.among.has(module.id())) {
            search.looked.push((module.id(), effort));
            search.add(module, place::look_up(&module.image, text, default_file, effort));
        }
        search
    };
    let likely = with(Effort::Likely);
    if likely.found.is_empty() && scope.furthest == Effort::Everything {
        return with(Effort::Everything);
    }
    likely
}

impl Search {
    fn add(&mut self, module: &Module, lookup: Lookup) {
        for place in lookup.places {
            self.found.push(Found {
                anchor: Anchor::Image(module.id(), place.address),
                addr: module.bias.to_virt(place.address),
                place: Some(place),
            });
        }
        for note in lookup.notes {
            if !self.notes.contains(&note) {
                self.notes.push(note);
            }
        }
        if let Some(reason) = lookup.reason
            && !self.reasons.contains(&reason)
        {
            self.reasons.push(reason);
        }
    }
}

/// Where the locations found earlier in images are now.
pub(super) fn known_places(
    breakpoint: &Breakpoint,
    modules: &Modules,
    among: &Among,
) -> Vec<Found> {
    let mut seen = BTreeSet::new();
    let known = breakpoint.locations.iter().filter_map(|location| {
        let Anchor::Image(id, at) = location.anchor else { return None };
        if !among.has(id) || !breakpoint.has_searched(id, Effort::Likely) || !seen.insert(at) {
            return None;
        }
        let place = FoundPlace {
            address: at,
            function: location.function.clone(),
            file: location.file.clone(),
            line: location.line,
        };
        let addr = modules.by_id(id)?.bias.to_virt(at);
        Some(Found { anchor: location.anchor, addr, place: Some(place) })
    });
    known.collect()
}
