//! The process that keeps the VM's routes: it runs [`crate::network`], the only one that may change
//! the VM's network.

use super::confine::Confined;
use super::messages::{FromNetwork, ToNetwork};
use crate::link::{Link, Parcel};
use crate::net::{Net, NetError};
use crate::network::{self, Fixed, NetworkReport, Wish};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use wsl::NetworkingMode;

/// How long the supervisor may take to read the last message.
const LAST_MESSAGE_PATIENCE: Duration = Duration::from_millis(200);

/// Runs it until the supervisor ends it.
pub(super) async fn serve(supervisor: UnixStream, confined: Confined) -> ExitCode {
    let Ok(link) = Link::open(supervisor) else { return ExitCode::FAILURE };
    let Link { out, mut incoming, sent } = link;
    let _ = out.send(FromNetwork::Confined(confined).into()).await;
    // Without a supervisor there is nothing to do.
    let Some(Parcel { message: ToNetwork::Start(fixed), descriptors }) = incoming.recv().await
    else {
        return ExitCode::FAILURE;
    };
    let Some(engine) = descriptors.into_iter().next() else { return ExitCode::FAILURE };
    let code = match keep(fixed, UnixStream::from(engine), &out, incoming).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = out.send(FromNetwork::Failed(error.to_string()).into()).await;
            ExitCode::FAILURE
        }
    };
    drop(out);
    let _ = tokio::time::timeout(LAST_MESSAGE_PATIENCE, sent).await;
    code
}

async fn keep(
    fixed: Fixed,
    engine: UnixStream,
    out: &mpsc::Sender<Parcel<FromNetwork>>,
    incoming: mpsc::Receiver<Parcel<ToNetwork>>,
) -> Result<(), NetError> {
    let engine =
        Link::<NetworkReport, Wish>::open(engine).map_err(|source| NetError::Socket { source })?;
    let net = Net::open()?;
    // A killed gateway's rules would send look-ups to a table without routes, which is harmless but
    // untidy.
    net.withdraw().await?;
    let (wish, wishes) = watch::channel(Wish::default());
    let (mode, modes) = watch::channel(None);
    let (keeper, states) = network::keep(net.clone(), fixed, wishes, modes)?;
    let _ = out.send(FromNetwork::Ready.into()).await;
    let end = tokio::select! {
        // Neither the engine's end nor an error of the keeper ends this: the rules must be removed.
        never = async {
            tokio::join!(keeper, pass_on(engine, wish, states));
            std::future::pending().await
        } => never,
        end = hear(incoming, mode) => end,
    };
    match end {
        End::Asked => net.withdraw().await,
        // The next gateway may run already, and replaces what is left.
        End::Alone => Ok(()),
    }
}

/// Why this process ends.
enum End {
    /// The supervisor asks for it.
    Asked,
    /// The supervisor is gone.
    Alone,
}

/// Passes wishes from the engine and states to it, until it is gone.
async fn pass_on(
    mut engine: Link<NetworkReport, Wish>,
    wish: watch::Sender<Wish>,
    mut states: mpsc::Receiver<NetworkReport>,
) {
    loop {
        tokio::select! {
            wished = engine.incoming.recv() => match wished {
                Some(parcel) => drop(wish.send_replace(parcel.message)),
                None => return,
            },
            state = states.recv() => match state {
                Some(state) => {
                    if engine.out.send(state.into()).await.is_err() {
                        return;
                    }
                }
                None => return,
            },
        }
    }
}

/// Serves until the supervisor asks for the end, or is gone.
async fn hear(
    mut incoming: mpsc::Receiver<Parcel<ToNetwork>>,
    mode: watch::Sender<Option<Option<NetworkingMode>>>,
) -> End {
    while let Some(parcel) = incoming.recv().await {
        match parcel.message {
            ToNetwork::Mode(found) => drop(mode.send_replace(Some(found))),
            ToNetwork::Start(_) | ToNetwork::Stop => return End::Asked,
        }
    }
    End::Alone
}
