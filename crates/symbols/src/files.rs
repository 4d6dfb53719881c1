//! The source files of an image: which unit's file table names which file, and
//! which files a user means by a path or the end of one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use gimli::Section as _;
use rayon::prelude::*;

use crate::image::Image;
use crate::line_headers::last_component;
use crate::line_table;
use crate::units::{UnitId, Units};

/// The source files of some units once, and each unit's file table in terms of
/// them.
#[derive(Debug, Default)]
pub(crate) struct Files {
    /// Sorted paths.
    paths: Vec<Arc<str>>,
    /// For each unit, by file index, the place in `paths`.
    tables: Vec<(UnitId, Vec<u32>)>,
}

/// What has been read of an image's files.
#[derive(Debug, Default)]
pub(crate) struct KeptFiles {
    all: OnceLock<Files>,
    /// Of the units that name a file of some name, by that name.
    of_name: Mutex<HashMap<Box<[u8]>, Arc<Files>>>,
}

/// A file index that names no file.
const NO_FILE: u32 = u32::MAX;

impl Files {
    fn read(units: &Units, ids: &[UnitId]) -> Self {
        let read = |id: &UnitId| {
            let files = units.with_transient(*id, line_table::files).unwrap_or_default();
            (*id, files)
        };
        let tables: Vec<(UnitId, Vec<Arc<str>>)> = ids.par_iter().map(read).collect();
        let mut paths: Vec<Arc<str>> =
            tables.iter().flat_map(|it| &it.1).filter(|path| !path.is_empty()).cloned().collect();
        paths.par_sort_unstable();
        paths.dedup();
        paths.shrink_to_fit();
        let numbers: HashMap<&str, u32> =
            paths.iter().zip(0..).map(|(path, number)| (&**path, number)).collect();
        let number = |path: &Arc<str>| numbers.get(&**path).copied().unwrap_or(NO_FILE);
        let numbered =
            |(id, table): &(UnitId, Vec<Arc<str>>)| (*id, table.iter().map(number).collect());
        let tables = tables.iter().map(numbered).collect();
        Self { paths, tables }
    }

    /// The paths, sorted.
    pub(crate) fn paths(&self) -> &[Arc<str>] {
        &self.paths
    }

    /// The files a path means: those it is the longest end of. A whole path
    /// excludes all others; where it is unknown, the start of the path is given up
    /// part by part (a build machine's directories need not be ours).
    pub(crate) fn matching(&self, path: &str) -> Vec<u32> {
        let wanted = line_table::normalise(path);
        let exact = self.paths.binary_search_by(|known| (**known).cmp(wanted.as_str()));
        if let (Ok(exact), true) = (exact, wanted.starts_with('/')) {
            return u32::try_from(exact).into_iter().collect();
        }
        let as_written = self.ending_in(wanted.trim_start_matches('/'));
        if !as_written.is_empty() || !wanted.starts_with('/') {
            return as_written;
        }
        self.sharing_most(&wanted)
    }

    fn ending_in(&self, tail: &str) -> Vec<u32> {
        let numbered = self.paths.iter().zip(0..);
        numbered.filter(|(path, _)| ends_in(path, tail)).map(|(_, number)| number).collect()
    }

    /// The files that share the most trailing parts with an absolute path,
    /// their name at least.
    fn sharing_most(&self, wanted: &str) -> Vec<u32> {
        let shared = |path: &str| {
            let pairs = path.rsplit('/').zip(wanted.rsplit('/'));
            pairs.take_while(|(a, b)| a == b).count()
        };
        let best = self.paths.iter().map(|path| shared(path)).max().filter(|best| *best > 0);
        let numbered = self.paths.iter().zip(0..);
        numbered.filter(|(path, _)| Some(shared(path)) == best).map(|(_, number)| number).collect()
    }

    /// The units whose tables name any of the files, each with, by file index,
    /// whether it is one.
    pub(crate) fn units_naming(&self, files: &[u32]) -> Vec<(UnitId, &[u32])> {
        let naming = self.tables.iter().filter(|it| it.1.iter().any(|file| files.contains(file)));
        naming.map(|(unit, table)| (*unit, table.as_slice())).collect()
    }
}

fn ends_in(path: &str, tail: &str) -> bool {
    path.strip_suffix(tail).is_some_and(|start| start.is_empty() || start.ends_with('/'))
}

impl Image {
    fn all_files(&self) -> &Files {
        self.files.all.get_or_init(|| {
            let units = self.units();
            Files::read(units, &units.with_code())
        })
    }

    /// The files that a path can mean, and the units that name any: those with
    /// its last component.
    pub(crate) fn files_like(&self, path: &str) -> Arc<Files> {
        let path = line_table::normalise(path);
        let name = last_component(path.as_bytes());
        let known = || self.files.of_name.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(files) = known().get(name) {
            return files.clone();
        }
        let units = self.units();
        let tables = self.line_headers.naming(name, || Some(units.line_sections()));
        let ids = tables.and_then(|tables| units.with_line_tables(&tables));
        let ids = ids.unwrap_or_else(|| units.with_code());
        let files = Arc::new(Files::read(units, &ids));
        known().insert(name.into(), files.clone());
        files
    }

    /// Whether there are line tables.
    pub(crate) fn has_lines(&self) -> bool {
        !self.units().line_sections().debug_line.reader().is_empty()
    }

    /// The source files named by line tables, sorted.
    pub fn files(&self) -> &[Arc<str>] {
        self.all_files().paths()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, expected: &[&str]) {
        let paths = ["/a/src/one.c", "/a/src/two.c", "/b/src/one.c", "/c/none.c"];
        let paths: Vec<Arc<str>> = paths.map(Arc::from).into();
        let files = Files { paths: paths.clone(), tables: Vec::new() };
        let found: Vec<&str> =
            files.matching(path).iter().map(|&number| &*paths[number as usize]).collect();
        assert_eq!(found, expected, "{path}");
    }

    #[test]
    fn a_path_means_the_files_it_ends() {
        check("one.c", &["/a/src/one.c", "/b/src/one.c"]);
        check("a/src/one.c", &["/a/src/one.c"]);
        check("/a/src/../src/one.c", &["/a/src/one.c"]);
        check("ne.c", &[]);
        check("/elsewhere/src/two.c", &["/a/src/two.c"]);
        check("/elsewhere/three.c", &[]);
        check("wrong/one.c", &[]);
    }
}
