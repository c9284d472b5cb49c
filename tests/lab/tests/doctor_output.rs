//! The output of `underpass doctor`: its JSON follows `docs/doctor.schema.json`, and on a terminal
//! it shows its progress.

use lab::addresses::NAT_GATEWAY;
use lab::doctor::Ward;
use lab::modes::ip;
use lab::scene::etc;
use lab::{Lab, Place, Process, lab_or_skip};
use serde_json::Value;

/// A VM behind NAT without a fault.
fn nat(lab: &Lab) -> (Ward<'_>, Process) {
    let dns = lab.start_nat_dns().expect("dnsmasq");
    let ward = Ward::new(lab);
    ward.wait_for_names();
    (ward, dns)
}

/// The differences between a value and a schema, with the path to each. It knows only the keywords
/// that this schema uses.
fn faults(schema: &Value, value: &Value, root: &Value, path: &str) -> Vec<String> {
    let mut faults = Vec::new();
    for (word, wanted) in schema.as_object().expect("a schema is an object") {
        let list = || wanted.as_array().unwrap_or_else(|| panic!("{word} is a list"));
        match word.as_str() {
            "$schema" | "$defs" | "title" | "description" => {}
            "$ref" => {
                let pointer = wanted
                    .as_str()
                    .and_then(|text| text.strip_prefix('#'))
                    .expect("a place in this file");
                let of =
                    root.pointer(pointer).unwrap_or_else(|| panic!("{pointer} does not exist"));
                faults.extend(self::faults(of, value, root, path));
            }
            "type" => {
                let kind = match value {
                    Value::Null => "null",
                    Value::Bool(_) => "boolean",
                    Value::Number(_) => "number",
                    Value::String(_) => "string",
                    Value::Array(_) => "array",
                    Value::Object(_) => "object",
                };
                if wanted != kind
                    && wanted.as_array().is_none_or(|kinds| kinds.iter().all(|one| one != kind))
                {
                    faults.push(format!("{path} is a {kind}, not {wanted}"));
                }
            }
            "const" if value != wanted => faults.push(format!("{path} is {value}, not {wanted}")),
            "enum" if !list().contains(value) => {
                faults.push(format!("{path} is {value}, none of {wanted}"))
            }
            "const" | "enum" => {}
            "required" => faults.extend(
                list()
                    .iter()
                    .filter_map(Value::as_str)
                    .filter(|key| value.get(key).is_none())
                    .map(|key| format!("{path} has no {key}")),
            ),
            "properties" => {
                let known = wanted.as_object().expect("an object");
                for (key, value) in value.as_object().into_iter().flatten() {
                    match known.get(key) {
                        Some(schema) => faults.extend(self::faults(
                            schema,
                            value,
                            root,
                            &format!("{path}/{key}"),
                        )),
                        // Today's output matches today's schema.
                        None => faults.push(format!("{path}/{key} is not in the schema")),
                    }
                }
            }
            "items" => {
                for (number, item) in value.as_array().into_iter().flatten().enumerate() {
                    faults.extend(self::faults(wanted, item, root, &format!("{path}/{number}")));
                }
            }
            "anyOf" => {
                let of_each: Vec<_> =
                    list().iter().map(|one| self::faults(one, value, root, path)).collect();
                if of_each.iter().all(|faults| !faults.is_empty()) {
                    faults.push(format!("{path} is none of: {of_each:?}"));
                }
            }
            other => panic!("this test does not know the word {other}"),
        }
    }
    faults
}

#[test]
fn json_is_as_its_schema_says() {
    let Some(lab) = lab_or_skip() else { return };
    let (ward, _dns) = nat(&lab);
    let text = include_str!("../../../docs/doctor.schema.json");
    let schema: Value = serde_json::from_str(text).expect("the schema is JSON");
    let valid = |json: &Value| {
        let faults = faults(&schema, json, &schema, "");
        assert_eq!(faults, Vec::<String>::new(), "{json:#}");
    };
    let well = ward.verdict(&[], &[]).json;
    valid(&well);
    assert_eq!(well["version"], 1);
    // With findings that have every kind of step.
    let proxy = format!("http://{NAT_GATEWAY}:9");
    ward.wslconfig("[wsl2]\nnetworkingMode=mirrored\nfirewall=false\n");
    ward.wslinfo("nat");
    let many = ward
        .verdict(
            &[("https_proxy", &proxy), ("ALL_PROXY", "socks5://127.0.0.1:9")],
            &["--lang", "zh"],
        )
        .json;
    valid(&many);
    let fixes = many["findings"]
        .as_array()
        .expect("a list")
        .iter()
        .flat_map(|one| one["fix"].as_array().cloned());
    let fixes: Vec<Value> = fixes.flatten().collect();
    for kind in ["say", "run", "file"] {
        assert!(fixes.iter().any(|step| step.get(kind).is_some()), "{kind}: {fixes:#?}");
    }
    ip(&lab, "route del default");
    etc(&lab, Place::Wsl, "resolv.conf", "");
    let cut = ward.verdict(&[], &[]).json;
    valid(&cut);
    assert!(cut["skipped"].as_array().is_some_and(|skipped| !skipped.is_empty()), "{cut:#}");
    // The test itself finds faults.
    let mut wrong = cut;
    wrong["steps"][0]["result"] = "perhaps".into();
    wrong["findings"][0]["area"] = Value::Null;
    assert_eq!(faults(&schema, &wrong, &schema, "").len(), 2);
}

/// Runs a command on its own terminal, and prints the command's output there: `COMMAND...`.
const ON_TERMINAL: &str = "
import os, pty, sys
sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))
";

#[test]
fn a_terminal_shows_what_is_tried_and_then_the_report_alone() {
    let Some(lab) = lab_or_skip() else { return };
    let (ward, _dns) = nat(&lab);
    let terminal = ["env", "TERM=xterm", "python3", "-c", ON_TERMINAL];
    let said = ward.run_by(&terminal, 10, &[], &[]);
    assert_eq!(said.code, Some(0), "{said:?}");
    let text = &said.stdout;
    // Each line first shows that it waits, then its result.
    for what in ["WSL's gateway", "the internet, by address", "names (DNS)"] {
        let waits = text
            .find(&format!("\x1b[90m…\x1b[0m {what}"))
            .unwrap_or_else(|| panic!("{what}: {text:?}"));
        let done = text.find(&format!("\x1b[32m✓\x1b[0m {what}"));
        assert!(done.is_some_and(|done| done > waits), "{what}: {text:?}");
    }
    // They make room for the report.
    let (_, report) = text.rsplit_once("\x1b[0J").unwrap_or_else(|| panic!("{text:?}"));
    assert!(
        report.contains("The path to the internet") && !report.contains("\x1b[2K"),
        "{report:?}"
    );
    // Without colours, and without a terminal that can move back.
    let plain = ward.run_by(&[&["env", "NO_COLOR=1"], &terminal[..]].concat(), 10, &[], &[]).stdout;
    assert!(plain.contains("  ✓ names (DNS)") && !plain.contains("\x1b[32m"), "{plain:?}");
    let dumb = ["env", "TERM=dumb", "python3", "-c", ON_TERMINAL];
    assert!(!ward.run_by(&dumb, 10, &[], &[]).stdout.contains("\x1b[2K"));
    let json = ward.run_by(&terminal, 10, &[], &["--json"]).stdout;
    assert!(!json.contains('\x1b'), "{json:?}");
    let piped = ward.run(10, &[], &[]);
    assert!(!piped.stdout.contains('\x1b') && !piped.stderr.contains('…'), "{piped:?}");
}
