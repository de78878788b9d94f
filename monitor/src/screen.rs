//! The terminal: keys, frames, and its restoration however the command ends.

use std::{io, mem::ManuallyDrop, time::Duration};

use crossterm::event::{Event, EventStream};
use futures::{StreamExt, future::join_all};
use quorate_client::Client;
use quorate_terminal::{CommandError, colors_output};
use ratatui::DefaultTerminal;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval},
};

use crate::{
    ask,
    draw::draw,
    state::{Answer, Pressed, State},
};

/// Time between frames.
const FRAME: Duration = Duration::from_millis(250);
/// Answers that wait to be shown. Nodes that tell more wait.
const ANSWERS_MAX: usize = 256;

/// The terminal in raw mode with its alternate screen, restored when dropped. A panic restores it before its message is printed.
///
/// ratatui's own destructor is left out: it panics if the terminal is gone, which then needs no restoration.
struct Screen(ManuallyDrop<DefaultTerminal>);

impl Screen {
    fn open() -> io::Result<Self> {
        ratatui::try_init().map(ManuallyDrop::new).map(Self).inspect_err(|_| drop(ratatui::try_restore()))
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        drop(self.0.show_cursor());
        // A second time would move the cursor back onto the panic's message.
        if !std::thread::panicking() {
            drop(ratatui::try_restore());
        }
    }
}

/// Shows the nodes until the user leaves.
pub(crate) async fn show(nodes: &[(String, Client)]) -> Result<(), CommandError> {
    let started = Instant::now();
    let (answers, listener) = mpsc::channel(ANSWERS_MAX);
    let state = State::new(nodes.iter().map(|(url, _)| url.as_str()), colors_output());
    let asking = nodes.iter().enumerate().map(|(node, (_, client))| ask::follow(node, client, started, answers.clone()));
    tokio::select! {
        left = display(state, listener, started) => left,
        // It goes on as long as the other.
        _ = join_all(asking) => Ok(()),
    }
}

async fn display(mut state: State, mut answers: mpsc::Receiver<Answer>, started: Instant) -> Result<(), CommandError> {
    let mut terminated = signal(SignalKind::terminate()).map_err(|error| unusable(&error))?;
    let mut hung_up = signal(SignalKind::hangup()).map_err(|error| unusable(&error))?;
    crossterm::style::force_color_output(state.colored);
    let mut screen = Screen::open().map_err(|error| unusable(&error))?;
    let mut events = EventStream::new();
    let mut frames = interval(FRAME);
    frames.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        state.tick(started.elapsed());
        screen.0.draw(|frame| draw(frame, &state)).map_err(|error| unusable(&error))?;
        // Until there is something to draw, and the time for it.
        loop {
            tokio::select! {
                _ = frames.tick() => break,
                Some(answer) = answers.recv() => state.apply(answer),
                event = events.next() => match event {
                    Some(Ok(Event::Key(key))) => match state.press(key) {
                        Pressed::Shown => break,
                        Pressed::Quit => return Ok(()),
                        Pressed::Interrupt => return Err(CommandError::interrupted()),
                    },
                    Some(Ok(Event::Resize(..))) => break,
                    Some(Ok(_)) => {}
                    Some(Err(error)) => return Err(unusable(&error)),
                    None => return Err(CommandError::interrupted()),
                },
                _ = terminated.recv() => return Err(CommandError::interrupted()),
                _ = hung_up.recv() => return Err(CommandError::interrupted()),
            }
        }
    }
}

fn unusable(error: &io::Error) -> CommandError {
    CommandError::failure("terminal", format!("cannot use the terminal: {error}"))
        .with_hint("use another terminal, or add -o json: a line for each node, once a second")
}
