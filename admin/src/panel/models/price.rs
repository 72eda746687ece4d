//! Sets the price of a model, after a page that shows it before and after. What was charged never changes.

use std::collections::BTreeMap;

use actix_web::HttpRequest;
use actix_web::web::{Data, Path};
use askama::Template;
use serde::Deserialize;
use shared::catalogue::changes;
use shared::catalogue::price_list::NewPrice;
use shared::db::DbError;
use shared::money::Amount;
use shared::price::{Basis, Price};
use shared::values;

use super::super::Panel;
use super::super::access::{ManagePrices, May};
use super::show::{again, named, present};
use crate::frame::failure::{Failed, Handled};
use crate::frame::page::{self, Page};
use crate::frame::posted::Posted;
use crate::frame::wrongs::Wrongs;

/// What is typed.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(in crate::panel) struct Fields {
    pub(super) prompt: String,
    pub(super) completion: String,
    pub(super) image: String,
    /// One `1024x1024=0.20` a line.
    pub(super) images: String,
    pub(super) basis: String,
    /// Which version of the price stood on the page.
    pub(super) version: String,
    /// `yes`: the price before and after was seen.
    confirmed: String,
}

impl Fields {
    /// The form with the present price in it.
    pub(super) fn of(price: &Price) -> Self {
        let images: Vec<String> = price.images.iter().map(|(size, amount)| format!("{size}={amount}")).collect();
        Self {
            prompt: price.prompt.to_string(),
            completion: price.completion.to_string(),
            image: price.image.to_string(),
            images: images.join("\n"),
            basis: price.basis.to_string(),
            version: price.version.to_string(),
            confirmed: String::new(),
        }
    }

    /// The price that was typed, or what is wrong with it.
    fn read(&self, page: &Page) -> Result<Wanted, Wrongs> {
        let mut wrongs = Wrongs::default();
        let mut amount = |field: &'static str, text: &str| {
            let english = "Give an amount such as 3 or 3.50: not below zero, with at most 9 digits after the point.";
            let words = page.say(english, "请填写金额，例如 3 或 3.50：不能为负，小数点后最多 9 位。");
            values::price(text.trim()).map_err(|_| wrongs.add(field, words)).ok()
        };
        let prompt = amount("prompt", &self.prompt);
        let completion = amount("completion", &self.completion);
        let image = amount("image", &self.image);
        let english = "Each size once, one a line, such as 1024x1024=0.20.";
        let words = page.say(english, "每行一个尺寸，每个尺寸一次，例如 1024x1024=0.20。");
        let images = values::image_prices(&self.images).map_err(|_| wrongs.add("images", words)).ok();
        let basis = self.basis.parse().unwrap_or_default();
        match (prompt, completion, image, images) {
            (Some(prompt), Some(completion), Some(image), Some(images)) => {
                Ok(Wanted { prompt, completion, image, images, basis })
            }
            _ => Err(wrongs),
        }
    }
}

/// A price that is to be set.
#[derive(Debug, Clone)]
struct Wanted {
    prompt: Amount,
    completion: Amount,
    image: Amount,
    images: BTreeMap<String, Amount>,
    basis: Basis,
}

impl Wanted {
    /// The same as the price of a model.
    fn of(self, model: String) -> NewPrice {
        let Self { prompt, completion, image, images, basis } = self;
        NewPrice { model: Some(model), prompt, completion, image, images, basis }
    }

    /// Whether the model has this price already, as one of its own.
    fn is_already(&self, price: &Price) -> bool {
        !price.is_default
            && (self.prompt, self.completion, self.image, self.basis)
                == (price.prompt, price.completion, price.image, price.basis)
            && self.images == price.images
    }
}

/// One line of the page that asks whether it is meant so.
struct Line {
    what: String,
    before: Option<Amount>,
    after: Option<Amount>,
}

#[derive(Template)]
#[template(path = "panel/models/price.html")]
struct Confirm<'a> {
    page: &'a Page,
    name: &'a str,
    lines: Vec<Line>,
    before: &'a Price,
    after: &'a Wanted,
    fields: &'a Fields,
    has_moved: bool,
}

/// What became of it.
enum Outcome {
    Set,
    /// It is to be looked at; the price now.
    ToBeSeen(Price),
}

/// Shows it before and after; the second time sets it.
pub(in crate::panel) async fn set(
    request: HttpRequest,
    staff: May<ManagePrices>,
    panel: Data<Panel>,
    name: Path<String>,
    Posted(fields): Posted<Fields>,
) -> Handled {
    let page = &staff.page;
    let name = named(&request, name.into_inner())?;
    let wanted = match fields.read(page) {
        Ok(wanted) => wanted,
        Err(wrongs) => return again(&request, &staff, &panel, &name, &fields, &wrongs).await,
    };
    let (is_confirmed, seen) = (fields.confirmed == "yes", fields.version.clone());
    let (model, new, origin, now) = (name.clone(), wanted.clone(), staff.origin(), staff.now);
    let written = staff.write(&request, &panel, move |connection| {
        let before = present(connection, &model)?;
        if new.is_already(&before) {
            return Ok(Outcome::Set);
        }
        if !is_confirmed || before.version.to_string() != seen {
            return Ok(Outcome::ToBeSeen(before));
        }
        changes::set_price(connection, new.of(model), &origin, now)?;
        Ok::<_, DbError>(Outcome::Set)
    });
    match written.await?.map_err(|error| Failed::database(&request, &error))? {
        Outcome::Set => page::go_to(page.path("/models", &name)),
        Outcome::ToBeSeen(before) => {
            let has_moved = before.version.to_string() != fields.version;
            let lines = lines(&before, &wanted, page);
            let template =
                Confirm { page, name: &name, lines, before: &before, after: &wanted, fields: &fields, has_moved };
            page::show(&request, page, &template)
        }
    }
}

fn lines(before: &Price, after: &Wanted, page: &Page) -> Vec<Line> {
    let both = |what: &str, before, after| Line { what: what.to_owned(), before: Some(before), after: Some(after) };
    let mut lines = vec![
        both(page.say("A million tokens of the prompt", "每百万提示 token"), before.prompt, after.prompt),
        both(page.say("A million tokens of the answer", "每百万回答 token"), before.completion, after.completion),
    ];
    let mut sizes: Vec<&String> = before.images.keys().chain(after.images.keys()).collect();
    sizes.sort();
    sizes.dedup();
    let an_image = page.say("An image of", "每张图片");
    lines.extend(sizes.into_iter().map(|size| Line {
        what: format!("{an_image} {size}"),
        before: before.images.get(size).copied(),
        after: after.images.get(size).copied(),
    }));
    let others = if lines.len() > 2 {
        page.say("An image of another size", "其他尺寸的图片")
    } else {
        page.say("An image", "每张图片")
    };
    lines.push(both(others, before.image, after.image));
    lines
}
