//! Images read so far, shared by every process that has them loaded.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::Builder;

use trapline_core::ModuleId;
use trapline_symbols::{Image, LoadError, LoadOptions, Progress, ProgressFn};

use crate::event::Event;
use crate::stream::EventSender;

/// Which file, in which version: the path without links, so that a program
/// started by a link is the file that is mapped; size and time of change tell
/// a file from its replacement.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct FileKey {
    path: PathBuf,
    len: u64,
    modified: Option<std::time::SystemTime>,
}

/// The cache.
pub(crate) struct Images {
    loaded: HashMap<FileKey, Arc<Image>>,
    last: u32,
    events: EventSender,
}

impl Images {
    /// An empty cache that tells the front ends how far reading symbols is.
    pub(crate) fn reporting_to(events: EventSender) -> Self {
        Self { loaded: HashMap::new(), last: 0, events }
    }

    fn progress_of(&self, path: &Path) -> ProgressFn {
        let events = self.events.clone();
        let what = path.display().to_string();
        Arc::new(move |progress: Progress| {
            events.send(Event::Progress {
                what: what.clone(),
                done: progress.done as u64,
                total: progress.total as u64,
            });
        })
    }

    /// The image of a file.
    pub(crate) fn open(&mut self, path: &Path) -> Result<Arc<Image>, LoadError> {
        let metadata = std::fs::metadata(path).ok();
        let key = FileKey {
            // A path that cannot be followed is its own name.
            path: std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()),
            len: metadata.as_ref().map_or(0, std::fs::Metadata::len),
            modified: metadata.and_then(|metadata| metadata.modified().ok()),
        };
        if let Some(image) = self.loaded.get(&key) {
            return Ok(image.clone());
        }
        let options =
            LoadOptions { progress: Some(self.progress_of(path)), ..LoadOptions::default() };
        let image = Arc::new(Image::load(path, self.next_id(), &options)?);
        self.loaded.insert(key, image.clone());
        Ok(image)
    }

    /// Starts to read what the first stop in an image will ask for, while nobody
    /// waits for it yet.
    pub(crate) fn read_ahead(&self, image: Arc<Image>) {
        // Where no thread can be had, the first who asks reads it.
        let _reader = Builder::new().name("reader".to_owned()).spawn(move || image.read_ahead());
    }

    /// An image that is no file: the kernel's virtual library.
    pub(crate) fn in_memory(
        &mut self,
        name: &str,
        bytes: Vec<u8>,
    ) -> Result<Arc<Image>, LoadError> {
        Image::from_bytes(name, bytes, self.next_id()).map(Arc::new)
    }

    /// Forgets the images that lost bytes since they were read, so that their
    /// files are read anew when they are opened again, and tells which files
    /// became shorter. One atomic load when none did.
    pub(crate) fn forget_cut_short(&mut self) -> Vec<PathBuf> {
        if !trapline_symbols::any_cut_short() {
            return Vec::new();
        }
        let cut = self.loaded.extract_if(|_, image| image.is_cut_short());
        let files = cut.flat_map(|(_, image)| {
            image.files_cut_short().into_iter().map(Path::to_owned).collect::<Vec<_>>()
        });
        files.collect::<BTreeSet<_>>().into_iter().collect()
    }

    fn next_id(&mut self) -> ModuleId {
        self.last += 1;
        ModuleId::new(self.last)
    }
}

/// Which source files are newer than the programs built from them. Remembered
/// for one request: the files may change at any time.
#[derive(Default)]
pub(crate) struct SourceAges {
    newer: HashMap<(ModuleId, Arc<str>), bool>,
}

impl SourceAges {
    /// Whether a source file was changed after a program. No when one of them
    /// is not there.
    pub(crate) fn is_newer(&mut self, source: &Arc<str>, program: &Image) -> bool {
        *self.newer.entry((program.module(), source.clone())).or_insert_with(|| {
            let changed = |path: &Path| std::fs::metadata(path).ok()?.modified().ok();
            let ages = changed(Path::new(&**source)).zip(changed(program.path()));
            ages.is_some_and(|(source, program)| source > program)
        })
    }

    /// Forgets what was found.
    pub(crate) fn clear(&mut self) {
        self.newer.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::stream;

    #[test]
    fn an_image_whose_file_became_shorter_is_told_once_and_read_anew() {
        trapline_target::linux::survive_lost_pages(trapline_symbols::lost_at);
        let folder = std::env::temp_dir().canonicalize().unwrap();
        let path = folder.join(format!("trapline-images-{}", std::process::id()));
        let whole = std::env::current_exe().unwrap();
        std::fs::copy(&whole, &path).unwrap();
        let modified = std::fs::metadata(&path).unwrap().modified().unwrap();
        let (sender, _events) = stream();
        let mut images = Images::reporting_to(sender);
        let (image, kept) = (images.open(&path).unwrap(), images.open(&whole).unwrap());
        assert!(images.forget_cut_short().is_empty());

        let file = std::fs::File::options().write(true).open(&path).unwrap();
        file.set_len(0).unwrap();
        image.prepare();
        assert_eq!(images.forget_cut_short(), [path.as_path()]);
        assert!(images.forget_cut_short().is_empty());

        // Even where nothing else tells the versions of the file apart.
        std::fs::copy(&whole, &path).unwrap();
        file.set_modified(modified).unwrap();
        let again = images.open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_ne!(again.module(), image.module());
        assert!(image.is_cut_short() && !again.is_cut_short());
        assert_eq!(images.open(&whole).unwrap().module(), kept.module());
    }
}
