//! Keeps a page as received while a consumer has its items, so that changes which the consumer
//! makes to them do not reach the mirror.

use js_sys::JsString;

use super::batch::StoreResult;
use super::fetch::parse;
use super::js::{elements, get};
use super::json::Json;
use super::store::copies;
use crate::protocol::change::PageEffects;
use crate::protocol::error::{Code, Error};

/// The JSON text of the current page, if Graph sent one.
#[derive(Default)]
pub struct Received(Option<JsString>);

impl Received {
    /// Takes the text of a page.
    pub fn new(text: JsString) -> Self {
        Self(Some(text))
    }

    /// Copies the items that are not in the text, such as merged ones, before a consumer gets them.
    /// [`Self::restore`] parses the others again, which costs less than a copy.
    pub fn protect(&self, effects: &mut PageEffects<Json>) -> StoreResult<()> {
        let composed: Vec<&mut Json> =
            stored(effects).filter(|item| self.0.is_none() || item.position().is_none()).collect();
        let copied = copies(composed.iter().map(|item| item.value.clone()))?;
        for (item, copy) in composed.into_iter().zip(copied) {
            *item = Json::new(copy);
        }
        Ok(())
    }

    /// Replaces the items that the consumer got by those of the text, which is parsed again.
    pub fn restore(&mut self, effects: &mut PageEffects<Json>) -> StoreResult<()> {
        let Some(text) = self.0.take() else { return Ok(()) };
        let delivered: Vec<&mut Json> = stored(effects).filter(|item| item.position().is_some()).collect();
        if delivered.is_empty() {
            return Ok(());
        }
        let items = parse(&text).map(|body| elements(&get(&body, "value"))).unwrap_or_default();
        for item in delivered {
            let position = item.position().and_then(|position| usize::try_from(position).ok());
            let received = position.and_then(|position| items.get(position)).cloned();
            let message = "the text of a page cannot be parsed a second time";
            *item = Json::new(received.ok_or_else(|| Error::new(Code::Internal, message))?);
        }
        Ok(())
    }
}

/// The items that a page puts into the mirror.
fn stored(effects: &mut PageEffects<Json>) -> impl Iterator<Item = &mut Json> {
    effects.put.iter_mut().map(|(_, row)| &mut row.item)
}
