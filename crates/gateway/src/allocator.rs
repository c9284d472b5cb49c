//! How this program gets memory and gives it back: each large block is a mapping of its own, and
//! all other blocks come from the C library.
//!
//! A connection's rings are large, and most connections use little of them. The kernel provides a
//! mapping's pages when they are first used, and takes them back when the mapping is freed. glibc's
//! own large blocks begin with a header, which touches a page of each ring of each idle connection.
//! After the first such block is freed, glibc keeps and reuses them. 10,000 idle connections then
//! cost gigabytes.
#![expect(unsafe_code, reason = "an allocator and its system calls have no safe form")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::ptr;

/// From here on a block is a mapping: the smallest ring of a connection. Smaller ones would waste
/// much of their last page.
const LARGE: usize = 16 * 1024;

/// The alignment of every mapping, on all processors that Linux supports.
const PAGE: usize = 4096;

/// The allocator, for a program's `#[global_allocator]`.
#[derive(Debug)]
pub struct Allocator;

fn is_large(layout: Layout) -> bool {
    layout.size() >= LARGE && layout.align() <= PAGE
}

/// The size of the whole pages that hold a block of `size` bytes. No layout is so large that this
/// overflows.
fn pages(size: usize) -> usize {
    size.next_multiple_of(PAGE)
}

/// A fresh mapping, all zeros; null if there is no memory.
fn map(size: usize) -> *mut u8 {
    let (access, kind) =
        (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: a new anonymous mapping at an address of the kernel's choice touches no memory that
    // is in use.
    let block = unsafe { libc::mmap(ptr::null_mut(), pages(size), access, kind, -1, 0) };
    if block == libc::MAP_FAILED { ptr::null_mut() } else { block.cast() }
}

// SAFETY: a block is a mapping or the C library's by its layout alone, which the caller gives
// again, the same, when it frees the block; so each block goes back to where it came from. Mappings
// do not overlap, are at least as large and aligned as asked, and nothing here unwinds.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if is_large(layout) {
            return map(layout.size());
        }
        // SAFETY: the caller's promises are those that `System` wants.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if is_large(layout) {
            return map(layout.size());
        }
        // SAFETY: as in `alloc`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if is_large(layout) {
            // SAFETY: this block is a mapping of `map`, of this size, and no longer in use.
            unsafe { libc::munmap(block.cast(), pages(layout.size())) };
            return;
        }
        // SAFETY: not large, so it came from `System`.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller promises that `size` is not zero and does not overflow when it is
        // rounded up to the alignment.
        let new = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        match (is_large(layout), is_large(new)) {
            (true, true) => {
                // SAFETY: this block is a mapping of `map`, of this size. It may move, and its
                // bytes with it.
                let moved = unsafe {
                    libc::mremap(
                        block.cast(),
                        pages(layout.size()),
                        pages(size),
                        libc::MREMAP_MAYMOVE,
                    )
                };
                if moved == libc::MAP_FAILED { ptr::null_mut() } else { moved.cast() }
            }
            // SAFETY: neither is large, so it came from `System`, and may stay there.
            (false, false) => unsafe { System.realloc(block, layout, size) },
            (true, false) | (false, true) => {
                // SAFETY: as in `alloc`.
                let other = unsafe { self.alloc(new) };
                if !other.is_null() {
                    // SAFETY: both blocks are alive, apart, and as large as the smaller of the two
                    // sizes; the old one is then free.
                    unsafe {
                        ptr::copy_nonoverlapping(block, other, layout.size().min(size));
                        self.dealloc(block, layout);
                    }
                }
                other
            }
        }
    }
}

/// Gives back all pages of the C library's heap that hold nothing any more, wherever they are.
/// Looks at all of the heap.
#[cfg(target_env = "gnu")]
pub(crate) fn trim() {
    // SAFETY: malloc_trim takes an integer, and may be called by any thread at any time
    // (malloc_trim(3)).
    unsafe { libc::malloc_trim(0) };
}

/// Other C libraries have no such function.
#[cfg(not(target_env = "gnu"))]
pub(crate) fn trim() {}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(size: usize) -> Layout {
        Layout::from_size_align(size, 8).unwrap()
    }

    #[test]
    fn blocks_keep_their_bytes_from_any_size_to_any_other() {
        let sizes = [1, 100, LARGE - 1, LARGE, LARGE + 1, 5 * LARGE, 1 << 20];
        for from in sizes {
            for to in sizes {
                // SAFETY: sizes are not zero, and each block is used within its size and freed once
                // with its layout.
                unsafe {
                    let block = Allocator.alloc_zeroed(layout(from));
                    assert!(!block.is_null() && block.addr().is_multiple_of(8));
                    assert_eq!((*block, *block.add(from - 1)), (0, 0));
                    *block = 1;
                    *block.add(from.min(to) - 1) = 2;
                    let block = Allocator.realloc(block, layout(from), to);
                    assert!(!block.is_null());
                    assert!(
                        *block.add(from.min(to) - 1) == 2 && (from.min(to) == 1 || *block == 1),
                        "{from} to {to}"
                    );
                    *block.add(to - 1) = 3;
                    Allocator.dealloc(block, layout(to));
                }
            }
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri ends where there is no memory")]
    fn what_cannot_be_had_is_null() {
        // SAFETY: the layout is valid; nothing is done with the block.
        assert!(unsafe { Allocator.alloc(Layout::from_size_align(1 << 60, 8).unwrap()) }.is_null());
    }

    /// Pages of a block that are in memory, as the kernel counts them.
    fn resident(block: *mut u8, size: usize) -> usize {
        let mut pages = vec![0_u8; size.div_ceil(PAGE)];
        // SAFETY: the mapping is alive, and `pages` has a byte for each of its pages.
        let counted = unsafe { libc::mincore(block.cast(), size, pages.as_mut_ptr()) };
        assert_eq!(counted, 0);
        pages.iter().filter(|page| **page & 1 == 1).count()
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri has no mincore")]
    fn a_large_block_touches_no_page_until_it_is_used() {
        let size = 64 * PAGE;
        // SAFETY: as above.
        unsafe {
            let block = Allocator.alloc_zeroed(layout(size));
            assert_eq!(resident(block, size), 0);
            *block.add(PAGE) = 1;
            assert_eq!(resident(block, size), 1);
            Allocator.dealloc(block, layout(size));
        }
    }
}
