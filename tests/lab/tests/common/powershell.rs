//! Checks a PowerShell script without a PowerShell: by tree-sitter's grammar, a table of commands
//! with their parameters, and the features that Windows PowerShell 5.1 lacks or treats otherwise
//! than PowerShell 7.

use std::collections::BTreeMap;
use tree_sitter::{Node, Parser, Tree};

/// Commands that a script may call, with the parameters that it may use. Each exists in Windows
/// PowerShell 5.1, according to Microsoft's reference of its module.
pub(crate) type Commands<'a> = &'a [(&'a str, &'a [&'a str])];

/// Variables that PowerShell sets itself (about_Automatic_Variables, 5.1), and preferences.
const AUTOMATIC: [&str; 19] = [
    "_",
    "args",
    "erroractionpreference",
    "executioncontext",
    "false",
    "home",
    "input",
    "lastexitcode",
    "matches",
    "null",
    "pid",
    "progresspreference",
    "psboundparameters",
    "pscmdlet",
    "pscommandpath",
    "psscriptroot",
    "psversiontable",
    "this",
    "true",
];

/// The tree of a script.
pub(crate) fn parsed(text: &str) -> Tree {
    let mut parser = Parser::new();
    parser.set_language(&tree_sitter_powershell::LANGUAGE.into()).unwrap();
    parser.parse(text, None).unwrap()
}

/// Calls `see` with each node of the tree.
pub(crate) fn walk<'a>(node: Node<'a>, see: &mut impl FnMut(Node<'a>)) {
    see(node);
    let mut cursor = node.walk();
    let children: Vec<_> = node.children(&mut cursor).collect();
    for child in children {
        walk(child, see);
    }
}

/// The text of a node.
pub(crate) fn words<'a>(node: Node<'_>, text: &'a str) -> &'a str {
    node.utf8_text(text.as_bytes()).unwrap()
}

/// The nearest enclosing node of a kind.
pub(crate) fn around<'a>(node: Node<'a>, kind: &str) -> Option<Node<'a>> {
    std::iter::successors(node.parent(), Node::parent).find(|node| node.kind() == kind)
}

/// The faults of a script, each with its line, and the number of calls.
pub(crate) fn complaints(text: &str, commands: Commands<'_>) -> (Vec<String>, usize) {
    let tree = parsed(text);
    let mut complaints: Vec<String> = Vec::new();
    let own = functions(&tree, text);
    let assigned = assigned(text);
    let mut calls = 0;
    walk(tree.root_node(), &mut |node| {
        let said = words(node, text);
        let mut complain = |what: &str| {
            complaints.push(format!("line {}: {what}: {said}", node.start_position().row + 1))
        };
        if node.is_error() || node.is_missing() {
            return complain("it does not parse");
        }
        match node.kind() {
            // about_Pipeline_Chain_Operators: from PowerShell 7 on.
            "pipeline_chain_tail" | "&&" | "||" => {
                complain("Windows PowerShell 5.1 has no && and ||")
            }
            // about_Redirection: 5.1 turns a native program's output there into error records.
            "2>&1" | "2>" | "2>>" | "*>" | "*>&1" => {
                complain("standard error of a program may not be redirected")
            }
            "variable" if is_unknown(said, &assigned) => complain("no such variable is assigned"),
            "command" => {
                calls += 1;
                if let Some(what) = call(node, text, commands, &own) {
                    complain(&what);
                }
            }
            _ => {}
        }
    });
    (complaints, calls)
}

/// The faults of a call.
fn call(
    node: Node<'_>,
    text: &str,
    commands: Commands<'_>,
    own: &BTreeMap<String, usize>,
) -> Option<String> {
    let said = words(node, text);
    if said.starts_with("& $") {
        // A block of the script's own.
        return None;
    }
    let name = said.trim_start_matches("& ").split_whitespace().next()?;
    let mut given = Vec::new();
    let mut arguments = 0;
    let mut cursor = node.walk();
    for element in node.children(&mut cursor).filter(|child| child.kind() == "command_elements") {
        let mut cursor = element.walk();
        for child in element.children(&mut cursor) {
            match child.kind() {
                "command_parameter" => given.push(words(child, text).split(':').next()?.to_owned()),
                "command_argument_sep" => {}
                _ => arguments += 1,
            }
        }
    }
    if let Some(most) = own.get(name) {
        let is_named = !given.is_empty() && !said.contains("--");
        return (is_named || arguments > *most && *most > 0)
            .then(|| format!("its function takes {most} arguments by position"));
    }
    let Some((_, known)) = commands.iter().find(|(known, _)| *known == name) else {
        return Some(format!("{name} is not in the table of commands"));
    };
    if let Some(unknown) = given.iter().find(|parameter| !known.contains(&parameter.as_str())) {
        return (!name.ends_with(".exe")).then(|| format!("{name} has no {unknown} in the table"));
    }
    // Its default depth is 2, and deeper values become the names of their types.
    (name == "ConvertTo-Json" && !given.iter().any(|parameter| parameter == "-Depth"))
        .then(|| "ConvertTo-Json needs -Depth".to_owned())
}

/// The functions of a script, and the number of parameters of each.
fn functions(tree: &Tree, text: &str) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    walk(tree.root_node(), &mut |node| {
        if node.kind() == "function_statement" {
            let mut name = String::new();
            let mut parameters = 0;
            walk(node, &mut |inner| match inner.kind() {
                "function_name" if name.is_empty() => name = words(inner, text).to_owned(),
                "script_parameter" if around(inner, "script_block_expression").is_none() => {
                    parameters += 1
                }
                _ => {}
            });
            found.insert(name, parameters);
        }
    });
    found
}

/// The names of variables that a script assigns or takes as parameters, in lower case.
fn assigned(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    for (at, _) in text.match_indices('$') {
        let name: String =
            text[at + 1..].chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        let rest = text[at + 1 + name.len()..].trim_start();
        let before = text[..at].trim_end();
        let is_assigned = rest.starts_with('=') && !rest.starts_with("==");
        let is_parameter =
            before.ends_with(']') || before.ends_with("foreach (") || before.ends_with("param(");
        if !name.is_empty() && (is_assigned || is_parameter) {
            names.push(name.to_lowercase());
        }
    }
    names
}

fn is_unknown(said: &str, assigned: &[String]) -> bool {
    let name = said.trim_start_matches(['$', '@']).trim_matches(['{', '}']).to_lowercase();
    if name.contains(':') || name.is_empty() || said == "$$" {
        // Of the environment, or of a scope.
        return false;
    }
    !AUTOMATIC.contains(&name.as_str()) && !assigned.contains(&name)
}
