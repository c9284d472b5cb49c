use super::*;
use proptest::prelude::*;

fn entries(file: &File) -> Vec<(&str, &str, &str, usize)> {
    file.entries().map(|entry| (entry.section, entry.key, entry.value, entry.line)).collect()
}

fn faults(file: &File) -> Vec<(usize, FaultKind)> {
    file.faults().map(|fault| (fault.line, fault.kind)).collect()
}

#[test]
fn it_reads_as_wsl_does() {
    let text = "# a comment\r\nearly=1\r\n[wsl2] # here\r\n  memory = 8GB  # half\r\n\
                kernel=C:\\\\Users\\\\Anna\\\\k\r\n\
                kernelCommandLine = \"a # b \" c\r\nswapFile=one \\\r\n  two\r\nempty=\r\n\r\n\
                [Boot]\r\ncommand=a\\tb\\n\\\"c\\\"\r\n";
    let file = File::parse(text);
    assert_eq!(
        entries(&file),
        [
            ("", "early", "1", 2),
            ("wsl2", "memory", "8GB", 4),
            ("wsl2", "kernel", r"C:\Users\Anna\k", 5),
            ("wsl2", "kernelCommandLine", "a # b  c", 6),
            ("wsl2", "swapFile", "one   two", 7),
            ("wsl2", "empty", "", 9),
            ("Boot", "command", "a\tb\n\"c\"", 12),
        ]
    );
    assert_eq!(file.headers().collect::<Vec<_>>(), [("wsl2", 3), ("Boot", 11)]);
    assert_eq!(faults(&file), []);
    assert_eq!(file.to_string(), text);
}

#[test]
fn names_mind_no_case_and_the_first_line_counts() {
    let file = File::parse("[WSL2]\nNetworkingMode=Mirrored\n[wsl2]\nnetworkingmode=nat\n");
    assert_eq!(file.get("wsl2", "networkingMode"), Some("Mirrored"));
    assert_eq!(file.get("wsl2", "networking"), None);
    assert_eq!(file.find("wsl2", "networkingMode").map(|entry| entry.line), Some(2));
}

#[test]
fn every_fault_is_reported_with_its_line_and_the_others_are_read() {
    let text = "; no comment\n[ wsl2 ]\n[wsl2]\nmemory 8GB\nkernel=C:\\Users\nswap=\"1GB\n日本=1\n\
                my-key=1\nprocessors=2\n";
    let file = File::parse(text);
    let expected = [
        (1, FaultKind::Beginning),
        (2, FaultKind::Header),
        (4, FaultKind::NoEquals),
        (5, FaultKind::Escape),
        (6, FaultKind::Quote),
        (7, FaultKind::Beginning),
        (8, FaultKind::NoEquals),
    ];
    assert_eq!(faults(&file), expected);
    assert_eq!(entries(&file), [("wsl2", "processors", "2", 9)]);
    assert_eq!(file.faults().nth(3).map(|fault| fault.text), Some("kernel=C:\\Users"));
}

#[test]
fn the_distros_reader_ends_at_the_first_fault() {
    let text = "[boot]\nsystemd=true\n; no\n[network]\ngenerateResolvConf=false\n";
    let file = File::parse_as(text, Reader::Linux);
    assert_eq!(file.get("boot", "systemd"), Some("true"));
    assert_eq!(file.get("network", "generateResolvConf"), None);
    assert!(file.has_unread());
    assert_eq!(faults(&file), [(3, FaultKind::Beginning)]);
    let windows = File::parse(text);
    assert_eq!(windows.get("network", "generateResolvConf"), Some("false"));
    assert!(!windows.has_unread());
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_are_the_windows_readers() {
    let text = "\u{feff}[wsl2]\r\nswapFile=a\\\r\nb\r\n";
    let file = File::parse(text);
    assert_eq!(entries(&file), [("wsl2", "swapFile", "ab", 2)]);
    assert_eq!(faults(&File::parse_as(text, Reader::Linux)), [(1, FaultKind::ByteOrderMark)]);
    // The distro's reader drops the CR and ends the line, so that what should go on is a line of
    // its own.
    let without = File::parse_as(&text[3..], Reader::Linux);
    assert_eq!(
        (entries(&without), faults(&without)),
        (vec![("wsl2", "swapFile", "a", 2)], vec![(3, FaultKind::NoEquals)])
    );
    let last = File::parse_as("[boot]\r\ncommand=a\\\r\n[user]\r\ndefault=b\r\n", Reader::Linux);
    assert_eq!(entries(&last), [("boot", "command", "a", 2), ("user", "default", "b", 4)]);
    assert_eq!(faults(&last), []);
    // A CR alone is dropped by both.
    for reader in [Reader::Windows, Reader::Linux] {
        assert_eq!(
            File::parse_as("[a]\nb=c\\\rd\n", reader).get("a", "b"),
            Some("cd"),
            "{reader:?}"
        );
    }
    assert_eq!(File::parse_as("[a]\r\nb=c\r\n", Reader::Linux).get("a", "b"), Some("c"));
}

/// A text in UTF-16 as the distro's reader gets it: bytes.
fn utf_16(text: &str, bytes: fn(u16) -> [u8; 2]) -> String {
    let bytes: Vec<u8> = text.encode_utf16().flat_map(bytes).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

#[test]
fn utf_16_is_a_fault_in_the_distro_from_its_first_line_that_is_no_comment() {
    let text = "[boot]\r\nsystemd=true\r\n";
    for (text, bytes, line) in [
        (&*format!("\u{feff}{text}"), u16::to_le_bytes as fn(u16) -> [u8; 2], 1),
        (&*format!("\u{feff}{text}"), u16::to_be_bytes, 1),
        (text, u16::to_le_bytes, 1),
        (&*format!("# 注释\r\n{text}"), u16::to_le_bytes, 2),
    ] {
        let file = File::parse_as(&utf_16(text, bytes), Reader::Linux);
        assert_eq!(
            (entries(&file), faults(&file)),
            (vec![], vec![(line, FaultKind::Utf16)]),
            "{text:?}"
        );
    }
}

#[test]
fn a_header_that_breaks_off_leaves_what_wsl_has_taken_of_it() {
    // As many letters as the section before has.
    let file =
        File::parse("[wsl2]\na=1\n[boot x]\nb=2\n[experimental\nc=3\n[1]\nd=4\n[wsl2]\ne=5\n");
    assert_eq!(file.get("boot", "b"), Some("2"));
    assert_eq!(file.get("experimental", "c"), None);
    assert_eq!(file.get("expe", "d"), Some("4"));
    assert_eq!(file.get("wsl2", "e"), Some("5"));
}

fn after(text: &str, change: impl FnOnce(&mut File)) -> String {
    let mut file = File::parse(text);
    change(&mut file);
    file.to_string()
}

#[test]
fn a_key_is_set_in_place_and_nothing_else_moves() {
    let text = "# mine\r\n[wsl2]\r\n\tmemory = 8GB   # half\r\nmemory=2GB\r\nnosuch=1\r\n";
    let set = after(text, |file| file.set("WSL2", "MEMORY", "16GB").unwrap());
    assert_eq!(set, text.replace("8GB", "16GB"));
    let empty =
        after("[wsl2]\nswapFile= # none\n", |file| file.set("wsl2", "swapFile", "a").unwrap());
    assert_eq!(empty, "[wsl2]\nswapFile= a # none\n");
    let continued = after("[wsl2]\nswapFile=a\\\nb\nswap=0\n", |file| {
        file.set("wsl2", "swapFile", "c").unwrap()
    });
    assert_eq!(continued, "[wsl2]\nswapFile=c\nswap=0\n");
}

#[test]
fn a_new_key_goes_to_its_section_in_the_style_of_its_neighbour() {
    let text =
        "[wsl2]\r\n  memory = 8GB # x\r\n\r\n# about the other\r\n[experimental]\r\nsparseVhd=true";
    let set = after(text, |file| file.set("wsl2", "networkingMode", "mirrored").unwrap());
    assert_eq!(set, text.replace("# x\r\n", "# x\r\n  networkingMode = mirrored\r\n"));
    let last = after(text, |file| file.set("experimental", "ignoredPorts", "1,2").unwrap());
    assert_eq!(last, format!("{text}\r\nignoredPorts=1,2"));
    let new = after(text, |file| file.set("general", "instanceIdleTimeout", "-1").unwrap());
    assert_eq!(new, format!("{text}\r\n\r\n[general]\r\ninstanceIdleTimeout=-1\r\n"));
    assert_eq!(
        after("", |file| file.set("wsl2", "firewall", "true").unwrap()),
        "[wsl2]\r\nfirewall=true\r\n"
    );
    let mut linux = File::parse_as("", Reader::Linux);
    linux.set("network", "generateResolvConf", "false").unwrap();
    assert_eq!(linux.to_string(), "[network]\ngenerateResolvConf=false\n");
}

#[test]
fn a_key_is_removed_with_all_its_lines_and_comments_stay() {
    let text = "[wsl2]\nmemory=8GB # half\nswap=0\nMemory=2GB\n";
    let mut file = File::parse(text);
    assert_eq!(file.remove("wsl2", "memory"), 2);
    assert_eq!(file.to_string(), "[wsl2]\n# half\nswap=0\n");
    assert_eq!(file.remove("wsl2", "memory"), 0);
}

#[test]
fn a_last_line_that_goes_on_takes_no_new_line_in() {
    for text in ["A=1\nT=tp    \\", "A=1\nT=x\\"] {
        let mut file = File::parse_as(text, Reader::Windows);
        let before = file.clone();
        match file.set("underpass", "none", "1") {
            Err(error) => assert_eq!((error, file), (EditError::Continued { line: 2 }, before)),
            Ok(()) => panic!(
                "{text:?} became {file}: {:?} {:?}",
                before.entries().collect::<Vec<_>>(),
                file.entries().collect::<Vec<_>>()
            ),
        }
    }
}

#[test]
fn what_wsl_would_not_read_is_refused() {
    let mut file = File::parse_as("[boot]\nsystemd=true\n; no\n", Reader::Linux);
    let error = file.set("network", "generateResolvConf", "false").unwrap_err();
    assert_eq!(error, EditError::Unread { line: 3, text: "; no".to_owned() });
    // What stands above counts.
    file.set("boot", "systemd", "false").unwrap();
    assert_eq!(file.to_string(), "[boot]\nsystemd=false\n; no\n");
    assert!(matches!(file.set("boot", "my-key", "1"), Err(EditError::Name { .. })));
    assert!(matches!(file.set("boot", "command", "a\rb"), Err(EditError::Value { .. })));
}

/// Texts made of what means something to the readers, and of what does not.
fn any_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("[wsl2]"),
        Just("[boot"),
        Just("[ x ]"),
        Just("\n"),
        Just("\r\n"),
        Just("\r"),
        Just("#"),
        Just(" "),
        Just("\t"),
        Just("="),
        Just("memory"),
        Just("Memory=1"),
        Just("swap = 2GB # x"),
        Just("\""),
        Just("\\"),
        Just("\\\\"),
        Just("\\n"),
        Just("\u{feff}"),
        Just("ü"),
        Just("键"),
        Just("key"),
        Just(";"),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

fn any_reader() -> impl Strategy<Value = Reader> {
    prop_oneof![Just(Reader::Windows), Just(Reader::Linux)]
}

proptest! {
    #[test]
    fn nothing_is_lost(text in any_text(), reader in any_reader()) {
        let file = File::parse_as(&text, reader);
        prop_assert_eq!(file.to_string(), text.clone());
        let lines: String = file.lines.iter().map(|line| &text[line.range.clone()]).collect();
        prop_assert_eq!(lines, text);
    }

    #[test]
    fn what_is_set_is_read_and_the_rest_stays(
        text in any_text(),
        reader in any_reader(),
        value in "[ -~\t\n键]{0,12}",
        key in prop_oneof![Just("memory"), Just("fresh")],
    ) {
        // A fault that goes on in the next line is gone when there is a next line.
        prop_assume!(!text.trim_end_matches('\r').ends_with('\\'));
        let before = File::parse_as(&text, reader);
        let mut file = before.clone();
        if let Err(error) = file.set("wsl2", key, &value) {
            let is_unread = matches!(error, EditError::Unread { .. });
            let was_faulty = before.faults().next().is_some();
            prop_assert!(is_unread && reader == Reader::Linux && was_faulty, "{}", error);
            return Ok(());
        }
        prop_assert_eq!(file.get("wsl2", key), Some(value.as_str()));
        prop_assert_eq!(others(&file, key), others(&before, key));
        prop_assert_eq!(file.faults().count(), before.faults().count());
        // The text is unchanged except in the value's own place.
        let common = text.bytes().zip(file.to_string().bytes()).take_while(|(a, b)| a == b).count();
        let tail = before.find("wsl2", key).map_or(text.len() - common, |_| 0);
        prop_assert!(file.to_string().as_bytes().ends_with(&text.as_bytes()[text.len() - tail..]));
    }

    #[test]
    fn what_is_removed_is_gone_and_the_rest_stays(text in any_text(), reader in any_reader()) {
        let before = File::parse_as(&text, reader);
        let mut file = before.clone();
        file.remove("wsl2", "memory");
        prop_assert_eq!(file.get("wsl2", "memory"), None);
        prop_assert_eq!(others(&file, "memory"), others(&before, "memory"));
    }
}

/// What all other keys say.
fn others(file: &File, key: &str) -> Vec<(String, String, String)> {
    let others = file.entries().filter(|entry| !entry.is("wsl2", key));
    others
        .map(|entry| (entry.section.to_owned(), entry.key.to_owned(), entry.value.to_owned()))
        .collect()
}
