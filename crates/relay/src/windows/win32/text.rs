//! Strings and lists as Windows gives them.

use windows_sys::Win32::Foundation::GlobalFree;
use windows_sys::core::PWSTR;

/// The text at a pointer; `None` for a null pointer.
///
/// # Safety
/// The pointer is null or leads to UTF-16 that ends with a zero.
pub(super) unsafe fn text(pointer: PWSTR) -> Option<String> {
    if pointer.is_null() {
        return None;
    }
    let mut length = 0;
    // SAFETY: every unit up to the zero is the string's.
    while unsafe { *pointer.add(length) } != 0 {
        length += 1;
    }
    // SAFETY: that many units were just read.
    Some(String::from_utf16_lossy(unsafe { std::slice::from_raw_parts(pointer, length) }))
}

/// The text at a pointer that must be freed with `GlobalFree`; `None` for null and for an empty
/// text.
///
/// # Safety
/// Like [`text`], and the pointer is not used afterwards.
pub(super) unsafe fn taken(pointer: PWSTR) -> Option<String> {
    // SAFETY: the caller guarantees it.
    let text = unsafe { text(pointer) }?;
    // SAFETY: not null, and freed once.
    unsafe { GlobalFree(pointer.cast()) };
    Some(text).filter(|text| !text.is_empty())
}

/// UTF-16 with a zero at its end.
pub(super) fn wide(text: &str) -> Vec<u16> {
    text.encode_utf16().chain([0]).collect()
}

/// The items of a list that is linked by pointers.
///
/// # Safety
/// `first` is null or the first of a list whose items live as long as `'a`, and `next` gives an
/// item's successor or null.
pub(super) unsafe fn list<'a, T: 'a>(
    first: *const T,
    next: impl Fn(&'a T) -> *const T,
) -> impl Iterator<Item = &'a T> {
    // SAFETY: the caller guarantees it, for each pointer.
    std::iter::successors(unsafe { first.as_ref() }, move |item| unsafe { next(item).as_ref() })
}
