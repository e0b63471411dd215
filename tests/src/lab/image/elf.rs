//! Which shared libraries a program needs: the `DT_NEEDED` names and the interpreter of an ELF file.
//!
//! Read by the lab and not by `ldd`, for what is resolved are the libraries of the unpacked packages, not the
//! host's. 64-bit little-endian files only; anything else needs nothing.
//!
//! ```text
//! header: program headers at 0x20, their size at 0x36, their number at 0x38
//! program header: type 0, offset 8, virtual address 0x10, size in file 0x20     (LOAD 1, DYNAMIC 2, INTERP 3)
//! dynamic entry: tag 0, value 8                                                  (NEEDED 1, STRTAB 5)
//! ```

const LOAD: u32 = 1;
const DYNAMIC: u32 = 2;
const INTERPRETER: u32 = 3;
const TAG_NEEDED: u64 = 1;
const TAG_STRING_TABLE: u64 = 5;

/// A segment: where it is in the file, where in memory, how long.
struct Segment {
    kind: u32,
    offset: usize,
    address: u64,
    length: usize,
}

/// The names of the libraries that a program asks for, and the path of its loader.
pub(crate) fn needed(elf: &[u8]) -> Vec<String> {
    parse(elf).unwrap_or_default()
}

fn parse(elf: &[u8]) -> Option<Vec<String>> {
    if !elf.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let segments = segments(elf)?;
    let mut names = Vec::new();
    for segment in segments.iter().filter(|one| one.kind == INTERPRETER) {
        names.push(text(elf, segment.offset)?);
    }
    for segment in segments.iter().filter(|one| one.kind == DYNAMIC) {
        let entries = elf.get(segment.offset..segment.offset.checked_add(segment.length)?)?;
        let entry = |at: &[u8]| Some((u64_at(at, 0)?, u64_at(at, 8)?));
        let strings = entries
            .chunks_exact(16)
            .filter_map(entry)
            .find(|&(tag, _)| tag == TAG_STRING_TABLE)
            .and_then(|(_, address)| in_file(&segments, address))?;
        for (tag, value) in entries.chunks_exact(16).filter_map(entry) {
            if tag == TAG_NEEDED {
                names.push(text(
                    elf,
                    strings.checked_add(usize::try_from(value).ok()?)?,
                )?);
            }
        }
    }
    Some(names)
}

fn segments(elf: &[u8]) -> Option<Vec<Segment>> {
    let table = usize::try_from(u64_at(elf, 0x20)?).ok()?;
    let size = usize::from(u16_at(elf, 0x36)?);
    let count = usize::from(u16_at(elf, 0x38)?);
    (0..count)
        .map(|index| {
            let header = elf.get(table.checked_add(index * size)?..)?;
            Some(Segment {
                kind: u32::from_le_bytes(header.get(..4)?.try_into().ok()?),
                offset: usize::try_from(u64_at(header, 0x08)?).ok()?,
                address: u64_at(header, 0x10)?,
                length: usize::try_from(u64_at(header, 0x20)?).ok()?,
            })
        })
        .collect()
}

/// Where in the file an address of memory lies.
fn in_file(segments: &[Segment], address: u64) -> Option<usize> {
    segments
        .iter()
        .filter(|segment| segment.kind == LOAD)
        .find_map(|segment| {
            let within = usize::try_from(address.checked_sub(segment.address)?).ok()?;
            (within < segment.length).then_some(segment.offset + within)
        })
}

fn text(elf: &[u8], offset: usize) -> Option<String> {
    let rest = elf.get(offset..)?;
    let end = rest.iter().position(|&byte| byte == 0)?;
    Some(String::from_utf8_lossy(&rest[..end]).into_owned())
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_very_program_needs_the_c_library_and_a_loader() {
        let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let names = needed(&own);
        assert!(names.iter().any(|name| name == "libc.so.6"), "{names:?}");
        assert!(names.iter().any(|name| name.contains("/ld-")), "{names:?}");
    }

    #[test]
    fn a_cut_file_or_none_at_all_needs_nothing() {
        let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        assert!(needed(b"#!/bin/sh").is_empty());
        assert!(needed(&own[..70]).is_empty());
    }
}
