//! The commands that have Windows prefer its other adapters to a VPN's, for every command that
//! prints them. Pure.
//!
//! Cisco AnyConnect resets its adapter's settings at each connect, so a metric lasts until then.
//! When it is connected, it logs event 2039. A scheduled task of Windows can set the metric again
//! on that event.

/// Beyond the metric that Windows gives any adapter by itself.
const METRIC: u32 = 6000;

/// The event that AnyConnect writes once the VPN is connected.
const CONNECTED: u32 = 2039;

/// The logs in which it does so, by its version: up to 4.10, and from 5.0 on ("Cisco Secure
/// Client").
const LOGS: [&str; 2] =
    ["Cisco AnyConnect Secure Mobility Client", "Cisco Secure Client - AnyConnect VPN"];

/// The task's name.
const TASK: &str = "WSL beside AnyConnect";

/// Whether an adapter is AnyConnect's, by its description.
#[must_use]
pub fn is_anyconnect(description: &str) -> bool {
    let description = description.to_lowercase();
    ["anyconnect", "cisco secure client"].iter().any(|word| description.contains(word))
}

/// Sets the metric of an adapter once. For an administrator's PowerShell.
#[must_use]
pub fn once(adapter: &str) -> String {
    format!(
        "Set-NetIPInterface -InterfaceAlias '{}' -InterfaceMetric {METRIC}",
        messages::quote::in_powershell(adapter)
    )
}

/// Has Windows set it at each connect of AnyConnect's. For an administrator's PowerShell, in this
/// order.
#[must_use]
pub fn at_each_connect(adapter: &str) -> Vec<String> {
    let logs = LOGS.map(|log| format!("'{log}'")).join(",");
    // Between the task's double quotes stand the single quotes of the command, which PowerShell's
    // own text doubles.
    let command = once(adapter).replace('\'', "''");
    vec![
        format!(
            "$log = (Get-WinEvent -ListLog {logs} -ErrorAction SilentlyContinue | \
                 Select-Object -First 1).LogName"
        ),
        "$trigger = Get-CimClass -Namespace Root/Microsoft/Windows/TaskScheduler -ClassName \
         MSFT_TaskEventTrigger | \
         New-CimInstance -ClientOnly"
            .to_owned(),
        "$trigger.Enabled = $true".to_owned(),
        format!(
            "$trigger.Subscription = \"<QueryList><Query><Select \
             Path='$log'>*[System[EventID={CONNECTED}]]</Select>\
             </Query></QueryList>\""
        ),
        format!(
            "$action = New-ScheduledTaskAction -Execute powershell.exe -Argument '-NoProfile -Command \"{command}\"'"
        ),
        format!(
            "Register-ScheduledTask -TaskName '{TASK}' -Action $action -Trigger $trigger -User \
                 SYSTEM -Force"
        ),
    ]
}

/// Takes the task away again.
#[must_use]
pub fn never() -> String {
    format!("Unregister-ScheduledTask -TaskName '{TASK}' -Confirm:$false")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_adapter_with_a_quote_in_its_name_stays_one_word() {
        assert_eq!(
            once("Li's VPN"),
            "Set-NetIPInterface -InterfaceAlias 'Li''s VPN' -InterfaceMetric 6000"
        );
        let task = at_each_connect("Li's VPN");
        let action = "'-NoProfile -Command \"Set-NetIPInterface -InterfaceAlias ''Li''''s VPN'' \
                      -InterfaceMetric 6000\"'";
        assert!(task[4].ends_with(action), "{}", task[4]);
        assert!(task[3].contains("Path='$log'>*[System[EventID=2039]]"), "{}", task[3]);
        assert!(is_anyconnect("Cisco AnyConnect Virtual Miniport Adapter for Windows x64"));
        assert!(!is_anyconnect("WireGuard Tunnel"));
    }
}
