//! `underpass doctor` in a lab: its settings, so that it sees the lab's Windows and internet and
//! nothing of this machine, and its output. For tests: everything here panics with a program's
//! output.

use serde_json::{Value, json};

use crate::addresses::{SERVER, SERVER_NAME};
use crate::built::programs;
use crate::run::{Finished, Process};
use crate::scene::{PATIENCE, Scratch, must, python_server, web_server};
use crate::scratch::readable;
use crate::topology::{Lab, Place};
use crate::{programs as scripts, until};

/// Prints the facts of the relay on the host with a file's JSON laid over them: `FILE`.
const LAY_OVER: &str = "
import json, sys
facts, more = json.load(sys.stdin), json.load(open(sys.argv[1]))
facts['facts'].update(more.pop('facts', {}))
facts.update(more)
print(json.dumps(facts))
";

/// The doctor's surroundings. Declare it after its lab.
#[derive(Debug)]
pub struct Ward<'a> {
    lab: &'a Lab,
    scratch: Scratch,
    relay: String,
    _servers: [Process; 2],
}

/// The result of a doctor run.
#[derive(Debug)]
pub struct DoctorRun {
    /// Its exit code; 124 if it took too long.
    pub code: Option<i32>,
    /// The ids of its findings.
    pub ids: Vec<String>,
    /// The whole verdict.
    pub json: Value,
    /// Its standard error.
    pub complaints: String,
}

impl<'a> Ward<'a> {
    /// With a web server and a nameserver on the internet.
    ///
    /// # Panics
    /// They do not listen.
    #[must_use]
    pub fn new(lab: &'a Lab) -> Self {
        let scratch = Scratch::new();
        for folder in ["home", "bin", "apt.d"] {
            let made = std::fs::create_dir_all(scratch.path(folder));
            assert!(made.is_ok(), "{folder}: {made:?}");
            readable(scratch.path(folder).as_ref());
        }
        // In a place where every user may run it.
        let copied = std::fs::copy(programs().join("underpass"), scratch.path("bin/underpass"));
        assert!(copied.is_ok(), "underpass was not built: {copied:?}");
        let apt = format!(
            "Dir::Etc::parts \"{0}\";\nDir::Etc::main \"{0}/none\";\n",
            scratch.path("apt.d")
        );
        let _path = scratch.file("apt.conf", &apt);
        let script = scratch.file("lay_over.py", LAY_OVER);
        let words = format!(
            "#!/bin/sh\nip netns exec {} {} \"$@\" | python3 {script} {}\n",
            lab.namespace(Place::Windows),
            programs().join("underpass-relay").display(),
            scratch.path("windows.json"),
        );
        let relay = scratch.file("relay", &words);
        let dns = python_server(lab, Place::Internet, scripts::DNS_SERVER, &[SERVER], 53);
        let ward = Self { lab, scratch, relay, _servers: [web_server(lab), dns] };
        ward.windows(json!({}));
        ward
    }

    /// Makes Windows report these additional facts.
    pub fn windows(&self, facts: Value) {
        let mut all = json!({ "system": "Windows 10.0.22631" });
        if let (Value::Object(all), Value::Object(facts)) = (&mut all, facts) {
            all.extend(facts);
        }
        self.relay_says(&json!({ "facts": all }));
    }

    /// Makes the relay report these additional values.
    pub fn relay_says(&self, more: &Value) {
        let _path = self.scratch.file("windows.json", &more.to_string());
    }

    /// Gives Windows this `.wslconfig`.
    pub fn wslconfig(&self, text: &str) {
        self.windows(json!({ "wslconfig": { "path": "C:\\Users\\me\\.wslconfig", "text": text } }));
    }

    /// Makes `wslinfo` name this networking mode.
    pub fn wslinfo(&self, mode: &str) {
        let _path = self.scratch.file("bin/wslinfo", &format!("#!/bin/sh\necho {mode}\n"));
    }

    /// Writes a file in the user's home.
    ///
    /// # Panics
    /// It cannot be written.
    pub fn home(&self, name: &str, text: &str) {
        let path = self.scratch.path("home") + "/" + name;
        let folder = std::path::Path::new(&path).parent().map(std::fs::create_dir_all);
        let written = folder.transpose().and_then(|_| std::fs::write(&path, text));
        assert!(written.is_ok(), "{path}: {written:?}");
    }

    /// Adds a line to apt's settings.
    pub fn apt(&self, line: &str) {
        let _path = self.scratch.file("apt.d/95proxy", line);
    }

    /// The path of a file of the ward's.
    #[must_use]
    pub fn path(&self, name: &str) -> String {
        self.scratch.path(name)
    }

    /// Runs the doctor in the VM with these variables and options besides those of the lab, for at
    /// most that many seconds.
    ///
    /// # Panics
    /// It cannot be started.
    #[must_use]
    pub fn run(&self, seconds: u32, variables: &[(&str, &str)], options: &[&str]) -> Finished {
        self.run_by(&[], seconds, variables, options)
    }

    /// Like [`Ward::run`], by a command that executes the words after its own.
    ///
    /// # Panics
    /// It cannot be started.
    #[must_use]
    pub fn run_by(
        &self,
        wrapper: &[&str],
        seconds: u32,
        variables: &[(&str, &str)],
        options: &[&str],
    ) -> Finished {
        let path = std::env::var("PATH").unwrap_or_default();
        let set = [
            format!("PATH={}:{path}:/usr/sbin:/sbin", self.scratch.path("bin")),
            format!("HOME={}", self.scratch.path("home")),
            format!("APT_CONFIG={}", self.scratch.path("apt.conf")),
            "GIT_CONFIG_NOSYSTEM=1".to_owned(),
            "LC_ALL=C.UTF-8".to_owned(),
        ];
        let variables: Vec<String> = set
            .into_iter()
            .chain(variables.iter().map(|(name, value)| format!("{name}={value}")))
            .collect();
        let (program, outside) = (self.scratch.path("bin/underpass"), format!("{SERVER}:80"));
        let seconds = seconds.to_string();
        let home = self.scratch.path("home");
        let mut words = vec!["env", "--ignore-environment", "--chdir", &home];
        words.extend(variables.iter().map(String::as_str));
        words.extend(wrapper);
        words.extend(["timeout", &seconds, &program, "doctor", "--outside", &outside]);
        if !options.contains(&"--relay") {
            words.extend(["--relay", &self.relay]);
        }
        words.extend(["--public-name", SERVER_NAME, "--public-dns", SERVER]);
        words.extend(options);
        self.lab.run(Place::Wsl, &words).unwrap_or_else(|error| panic!("underpass doctor: {error}"))
    }

    /// Like [`Ward::run`], for at most 10 s, and reads the verdict.
    ///
    /// # Panics
    /// It prints no JSON.
    #[must_use]
    pub fn verdict(&self, variables: &[(&str, &str)], options: &[&str]) -> DoctorRun {
        self.verdict_by(&[], variables, options)
    }

    /// Like [`Ward::verdict`], by a command that executes the words after its own.
    ///
    /// # Panics
    /// It prints no JSON.
    #[must_use]
    pub fn verdict_by(
        &self,
        wrapper: &[&str],
        variables: &[(&str, &str)],
        options: &[&str],
    ) -> DoctorRun {
        let done = self.run_by(wrapper, 10, variables, &[&["--json"], options].concat());
        let json: Value = serde_json::from_str(&done.stdout)
            .unwrap_or_else(|error| panic!("doctor: {error}: {done:?}"));
        let findings = json["findings"].as_array().map_or(&[][..], Vec::as_slice);
        let ids = findings
            .iter()
            .filter_map(|finding| finding["id"].as_str())
            .map(ToOwned::to_owned)
            .collect();
        DoctorRun { code: done.code, ids, json, complaints: done.stderr }
    }

    /// Waits until the lab's nameserver answers in the VM, through the server in its resolv.conf.
    ///
    /// # Panics
    /// It does not answer.
    pub fn wait_for_names(&self) {
        let known = || {
            let answer = self.lab.run(Place::Wsl, &["getent", "ahosts", SERVER_NAME]);
            answer.is_ok_and(|answer| answer.stdout.contains(SERVER))
        };
        assert!(until(PATIENCE, known), "names are not resolved in the VM");
    }
}

impl DoctorRun {
    /// Whether the doctor found this, and nothing worse than a hint besides.
    #[must_use]
    pub fn is(&self, id: &str) -> bool {
        self.problems() == [id]
    }

    /// The ids of findings that are more than hints.
    #[must_use]
    pub fn problems(&self) -> Vec<&str> {
        let findings = self.json["findings"].as_array().map_or(&[][..], Vec::as_slice);
        let worse = findings.iter().filter(|finding| finding["severity"] != "hint");
        worse.filter_map(|finding| finding["id"].as_str()).collect()
    }
}

/// A VPN's adapter on the host, with its own network to the router, as the client makes it.
/// [`remove_vpn`] removes it.
///
/// # Panics
/// A command fails.
pub fn add_vpn(lab: &Lab) {
    let router = lab.namespace(Place::Router);
    for words in [
        &format!("ip link add cscotun0 type veth peer name vpn netns {router}"),
        "ip addr add 10.8.0.2/24 dev cscotun0",
        "ip link set cscotun0 up",
    ] {
        let _said = must(lab, Place::Windows, words);
    }
    let _said = must(lab, Place::Router, "ip addr add 10.8.0.1/24 dev vpn");
    let _said = must(lab, Place::Router, "ip link set vpn up");
}

/// Removes the VPN's adapter, and its routes with it.
///
/// # Panics
/// It does not exist.
pub fn remove_vpn(lab: &Lab) {
    let _said = must(lab, Place::Windows, "ip link del cscotun0");
}
