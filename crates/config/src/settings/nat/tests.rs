use super::model::Windows;
use super::*;

const NEW: &str = "192.168.240.0/24";

fn new() -> Ipv4Net {
    NEW.parse().unwrap()
}

fn run<'a>(lines: impl IntoIterator<Item = &'a String>) -> Windows {
    let mut windows = Windows::used();
    lines.into_iter().for_each(|line| windows.run(line));
    windows.start();
    windows
}

#[test]
fn wsl_keeps_its_subnet_over_restarts() {
    let mut windows = Windows::used();
    let subnet = windows.subnet();
    windows.run("wsl --shutdown");
    windows.start();
    assert_eq!(windows.subnet(), subnet);
    windows.restart();
    windows.start();
    assert_eq!((windows.subnet(), &windows.warnings[..]), (subnet, &[][..]));
}

#[test]
fn the_commands_give_wsl_the_new_subnet_for_good() {
    let mut windows = run(&commands(new()));
    assert_eq!((windows.subnet(), windows.kept()), (Some(new()), Some(NEW)));
    assert_eq!(windows.warnings, [""; 0]);
    windows.restart();
    windows.start();
    assert_eq!(windows.subnet(), Some(new()));
}

#[test]
fn the_two_values_alone_do_nothing() {
    let commands = commands(new());
    let windows = run(&commands[..3]);
    assert!(commands[1].contains("NatNetwork") && commands[2].contains("NatGatewayIpAddress"));
    assert_eq!(windows.subnet(), Windows::used().subnet());
    // They are overwritten, so that nothing is left of them.
    assert_eq!(windows.kept(), Windows::used().kept());
}

#[test]
fn no_command_can_be_left_out() {
    let commands = commands(new());
    for left_out in 0..commands.len() {
        let others = commands
            .iter()
            .enumerate()
            .filter(|(index, _)| *index != left_out)
            .map(|(_, line)| line);
        let windows = run(others);
        let is_well = windows.subnet() == Some(new()) && windows.warnings.is_empty();
        assert!(!is_well, "without {}", commands[left_out]);
    }
}

#[test]
fn a_start_of_wsl_in_between_undoes_it() {
    let commands = commands(new());
    for before in 1..commands.len() {
        let mut windows = Windows::used();
        for (index, line) in commands.iter().enumerate() {
            if index == before {
                windows.start();
            }
            windows.run(line);
        }
        windows.start();
        assert_ne!(windows.subnet(), Some(new()), "a start before {}", commands[before]);
    }
}

/// All orders of some lines.
fn orders(lines: &[String]) -> Vec<Vec<String>> {
    let Some((first, rest)) = lines.split_first() else { return vec![Vec::new()] };
    let insert = |order: Vec<String>| {
        (0..=order.len()).map(move |place| {
            let mut order = order.clone();
            order.insert(place, first.clone());
            order
        })
    };
    orders(rest).into_iter().flat_map(insert).collect()
}

/// The printed order works. Each other order in which the VM ends before its network goes works
/// too: the source sets no other bound as long as nothing starts WSL in between.
#[test]
fn the_network_goes_after_the_vm() {
    let orders = orders(&commands(new()));
    assert_eq!(orders.len(), 120);
    for order in orders {
        let place = |start: &str| order.iter().position(|line| line.starts_with(start)).unwrap();
        let is_in_order = place("wsl --shutdown") < place("Get-HnsNetwork");
        let windows = run(&order);
        assert_eq!(windows.subnet() == Some(new()), is_in_order, "{order:#?}");
    }
}
