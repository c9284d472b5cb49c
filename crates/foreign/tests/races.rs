//! Another user swaps the entries that root works on for links to root's own files, 10,000 times
//! for each operation, and no file of root's changes.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use foreign::{FileTraits, Folder, Removal, located, write_output};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, lchown, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

/// As many swaps as the attacker makes while one operation repeats.
const ROUNDS: usize = 10_000;

/// An unprivileged user.
const STRANGER: u32 = 65534;

/// A folder of the stranger's, one of root's, and a thread that swaps `place/it` for links to
/// root's.
struct Race {
    scratch: PathBuf,
    swaps: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    swapper: Option<JoinHandle<()>>,
}

impl Race {
    /// `name` is swapped for a link: a folder, or a file in a folder.
    fn new(test: &str, is_folder: bool) -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            assert_ne!(
                std::env::var("CI").as_deref(),
                Ok("true"),
                "only root can give a link to another user"
            );
            return None;
        }
        // In memory, if there is such a folder: every round waits until its file is on the disk.
        let memory = Path::new("/dev/shm");
        let folder = if memory.is_dir() { memory.to_path_buf() } else { std::env::temp_dir() };
        let scratch = folder.join(format!("underpass-race-{test}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&scratch);
        for folder in ["victim/below", "place"] {
            fs::create_dir_all(scratch.join(folder)).unwrap();
        }
        for file in ["victim/file", "victim/below/file"] {
            fs::write(scratch.join(file), "precious").unwrap();
            fs::set_permissions(scratch.join(file), fs::Permissions::from_mode(0o640)).unwrap();
        }
        let (it, other) = (scratch.join("place/it"), scratch.join("place/other"));
        if is_folder {
            fs::create_dir(&it).unwrap();
            fs::write(it.join("file"), "mine").unwrap();
            symlink(scratch.join("victim"), &other).unwrap();
        } else {
            fs::write(&it, "mine").unwrap();
            symlink(scratch.join("victim/file"), &other).unwrap();
        }
        for path in [&it, &other, &scratch.join("place")] {
            lchown(path, Some(STRANGER), Some(STRANGER)).unwrap();
        }
        let (swaps, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (count, ended) = (Arc::clone(&swaps), Arc::clone(&stop));
        let swapper = thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                if renameat_with(CWD, &it, CWD, &other, RenameFlags::EXCHANGE).is_ok() {
                    count.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        Some(Self { scratch, swaps, stop, swapper: Some(swapper) })
    }

    fn path(&self, path: &str) -> PathBuf {
        self.scratch.join(path)
    }

    /// Repeats an operation while the stranger swaps, and then checks root's files.
    fn run(&self, mut operation: impl FnMut(usize)) {
        let (before, mut round) = (seen(&self.path("victim")), 0);
        while round < ROUNDS || self.swaps.load(Ordering::Relaxed) < ROUNDS {
            operation(round);
            round += 1;
        }
        assert_eq!(seen(&self.path("victim")), before, "after {round} rounds");
    }
}

impl Drop for Race {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.swapper.take().map(JoinHandle::join);
        let _ = fs::remove_dir_all(&self.scratch);
    }
}

/// Everything below a folder: names, kinds, owners, modes and contents.
fn seen(folder: &Path) -> Vec<(PathBuf, u32, u32, Vec<u8>)> {
    let (mut all, mut folders) = (Vec::new(), vec![folder.to_path_buf()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let found = fs::symlink_metadata(&path).unwrap();
            if found.is_dir() {
                folders.push(path.clone());
            }
            all.push((
                path.clone(),
                found.uid(),
                found.mode(),
                fs::read(&path).unwrap_or_default(),
            ));
        }
    }
    all.sort();
    all
}

const THEIRS: FileTraits = FileTraits { mode: Some(0o666), owner: Some((STRANGER, STRANGER)) };

#[test]
fn no_file_is_written_or_given_away_through_a_folder_that_is_swapped_for_a_link() {
    let Some(race) = Race::new("folder", true) else { return };
    race.run(|_| {
        if let Ok(folder) = Folder::open(&race.path("place/it")) {
            let _ = folder.replace("file", THEIRS, |file| file.write_all(b"theirs"));
        }
    });
}

#[test]
fn no_file_is_written_or_given_away_that_is_swapped_for_a_link() {
    let Some(race) = Race::new("file", false) else { return };
    race.run(|round| {
        if round % 2 == 0 {
            let _ = write_output(&race.path("place/it"), b"theirs");
            // It may have replaced the link: then there is nothing to swap.
            symlink(race.path("victim/file"), race.path("fresh")).unwrap();
            lchown(race.path("fresh"), Some(STRANGER), Some(STRANGER)).unwrap();
            fs::rename(race.path("fresh"), race.path("place/it")).unwrap();
        } else if let Ok((folder, name)) = located(&race.path("place/it")) {
            let _ = folder.replace(&name, THEIRS, |file| file.write_all(b"theirs"));
        }
    });
}

#[test]
fn nothing_is_read_through_a_link() {
    let Some(race) = Race::new("read", false) else { return };
    race.run(|_| {
        let folder = Folder::open(&race.path("place")).unwrap();
        if let Ok(Some(read)) = folder.read("it", 100) {
            assert_eq!(read.bytes, b"mine");
        }
    });
}

#[test]
fn nothing_is_removed_or_made_through_a_link() {
    let Some(race) = Race::new("remove", true) else { return };
    race.run(|_| {
        let _ = Folder::make(&race.path("place/it/new/folder"), 0o755);
        let place = Folder::open(&race.path("place")).unwrap();
        if let Ok(it) = place.child("it") {
            let _ = it.remove_all("below", &mut Removal::default());
            let _ = it.remove_all("new", &mut Removal::default());
            let _ = it.remove("file");
        }
    });
}
