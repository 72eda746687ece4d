//! A call's answer as a stream of events.
//!
//! One future, the writer, follows the call and puts lines into an outbox; the reply's body polls it and hands out whatever the
//! outbox holds, so all that is ready goes out in one piece. The writer is one future because waiting for the call's next step
//! must not be broken off, for example to keep the connection alive: dropping it calls the call off.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use bytes::{BufMut as _, Bytes, BytesMut};
use serde::Serialize;
use shared::admission::{Step, without_an_end};
use shared::refusal::Refusal;
use tokio::time::Instant;
use utoipa::ToSchema;

use crate::reply::ErrorObject;
use crate::steps::Steps;
use crate::visit::Visit;

/// The writer stops taking frames while this many bytes wait to be sent.
const FULL: usize = 16 * 1024;

/// The streamed reply to a call, once it has begun: the first text is there, or `silence` has passed.
///
/// # Errors
/// When the call fails before that; the refusal keeps its HTTP status then.
pub(crate) async fn reply(
    call: impl Steps,
    visit: Visit,
    currency: String,
    silence: Duration,
) -> Result<HttpResponse, Refusal> {
    let events = Events::begin(call, currency, silence, move |refusal| visit.set_error(refusal)).await?;
    Ok(HttpResponse::Ok()
        .insert_header(("Content-Type", "text/event-stream"))
        .insert_header(("Cache-Control", "no-cache"))
        .insert_header(("X-Accel-Buffering", "no"))
        .body(BoxBody::new(events)))
}

type Writing = Pin<Box<dyn Future<Output = Result<(), Refusal>>>>;

/// The body of a streamed reply.
struct Events {
    /// `None` once it has ended.
    writing: Option<Writing>,
    outbox: Rc<Outbox>,
}

impl Events {
    async fn begin(
        steps: impl Steps,
        currency: String,
        silence: Duration,
        on_late_failure: impl Fn(&Refusal) + 'static,
    ) -> Result<Self, Refusal> {
        let outbox = Rc::new(Outbox::default());
        let writer = Writer { outbox: Rc::clone(&outbox), currency, silence, on_late_failure };
        let mut writing: Writing = Box::pin(writer.follow(steps));
        let is_over = poll_fn(|context| match writing.as_mut().poll(context) {
            Poll::Ready(end) => Poll::Ready(end.map(|()| true)),
            Poll::Pending if outbox.has_begun() => Poll::Ready(Ok(false)),
            Poll::Pending => Poll::Pending,
        });
        let is_over = is_over.await?;
        Ok(Self { writing: (!is_over).then_some(writing), outbox })
    }
}

impl MessageBody for Events {
    type Error = Refusal;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Refusal>>> {
        if let Some(writing) = &mut self.writing
            && let Poll::Ready(end) = writing.as_mut().poll(context)
        {
            self.writing = None;
            end?;
        }
        match self.outbox.take() {
            Some(bytes) => Poll::Ready(Some(Ok(bytes))),
            None if self.writing.is_none() => Poll::Ready(None),
            None => Poll::Pending,
        }
    }
}

struct Writer<F> {
    outbox: Rc<Outbox>,
    currency: String,
    silence: Duration,
    on_late_failure: F,
}

impl<F: Fn(&Refusal)> Writer<F> {
    /// Writes the whole answer. An error is one that came before the first byte.
    async fn follow(self, mut steps: impl Steps) -> Result<(), Refusal> {
        let mut quiet = pin!(tokio::time::sleep(self.silence));
        loop {
            let step = {
                let mut next = pin!(steps.next());
                loop {
                    tokio::select! {
                        biased;
                        step = &mut next => break step,
                        () = &mut quiet => quiet.as_mut().reset(self.keep_alive()),
                    }
                }
            };
            match step {
                Some(Step::Chunk(json)) => self.event(&json).await,
                Some(Step::Answered { held_back, .. }) => {
                    for json in held_back {
                        self.event(&json).await;
                    }
                    self.event(b"[DONE]").await;
                    return Ok(());
                }
                Some(Step::Failed(failed)) => return self.fail(failed.told(&self.currency)).await,
                None => {
                    let request_id = steps.request_id();
                    tracing::error!(%request_id, "a streamed call ended without an end");
                    return self.fail(without_an_end(request_id)).await;
                }
            }
        }
    }

    /// Writes a comment if there was silence for long enough; gives when to look again.
    fn keep_alive(&self) -> Instant {
        let now = Instant::now();
        let due = self.outbox.last_write.get().map(|last| last + self.silence);
        if let Some(due) = due
            && due > now
        {
            return due;
        }
        self.outbox.write(|lines| lines.put_slice(b": ping\n"));
        now + self.silence
    }

    /// Writes one event, and waits while the client is slow.
    async fn event(&self, data: &[u8]) {
        self.outbox.write(|lines| {
            lines.reserve(data.len() + 8);
            lines.put_slice(b"data: ");
            lines.put_slice(data);
            lines.put_slice(b"\n\n");
        });
        // Nobody has to wake this: a full outbox is emptied by the same poll that waits here.
        poll_fn(|_| if self.outbox.is_full() { Poll::Pending } else { Poll::Ready(()) }).await;
    }

    async fn fail(&self, refusal: Refusal) -> Result<(), Refusal> {
        if !self.outbox.has_begun() {
            return Err(refusal);
        }
        (self.on_late_failure)(&refusal);
        let frame = ErrorFrame { error: ErrorObject::of(&refusal) };
        self.event(&serde_json::to_vec(&frame).unwrap_or_default()).await;
        self.event(b"[DONE]").await;
        Ok(())
    }
}

/// A failure after the first byte of a stream: the data of its last event before `[DONE]`. It says what was charged.
#[derive(Serialize, ToSchema)]
pub(crate) struct ErrorFrame<'a> {
    error: ErrorObject<'a>,
}

/// What is ready to be sent.
#[derive(Default)]
struct Outbox {
    lines: RefCell<BytesMut>,
    /// `None` until something was written.
    last_write: Cell<Option<Instant>>,
}

impl Outbox {
    fn write(&self, write: impl FnOnce(&mut BytesMut)) {
        write(&mut self.lines.borrow_mut());
        self.last_write.set(Some(Instant::now()));
    }

    fn take(&self) -> Option<Bytes> {
        let mut lines = self.lines.borrow_mut();
        (!lines.is_empty()).then(|| lines.split().freeze())
    }

    fn has_begun(&self) -> bool {
        self.last_write.get().is_some()
    }

    fn is_full(&self) -> bool {
        self.lines.borrow().len() >= FULL
    }
}

#[cfg(test)]
mod tests;
