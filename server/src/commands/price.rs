//! `xiaoyi price`: what models cost.

use std::collections::BTreeSet;
use std::sync::Arc;

use clap::{Args, Subcommand};
use serde_json::Value;
use shared::audit_log::Origin;
use shared::catalogue::price_list::{self, NewPrice};
use shared::catalogue::{Snapshot, changes};
use shared::config::Settings;
use shared::deployment::Workbench;
use shared::money::Amount;
use shared::price::{Basis, Price};
use shared::values::{self, ImagePrice};

use super::{open, read, write};
use crate::failure::Failure;
use crate::output::Report;
use crate::table::{Side, table};

/// What to do with prices.
#[derive(Debug, Subcommand)]
pub(crate) enum PriceCommand {
    /// List the price of every model that is served or has one of its own
    #[command(after_help = "Example:\n  xiaoyi price list")]
    List,
    /// Set a model's price; calls from now on are held and charged by it
    #[command(
        override_usage = "xiaoyi price set <MODEL> --prompt <AMOUNT> --completion <AMOUNT> [--image <[SIZE=]AMOUNT>...] [--basis <estimate|upstream>]",
        after_help = "Examples:
  xiaoyi price set gpt-4 --prompt 3.50 --completion 10.50
  xiaoyi price set dall-e-3 --prompt 0 --completion 0 --image 0.30 1024x1024=0.20

Prompt and completion are per million tokens, an image is per image. What is not given (--image, --basis) stays as it is."
    )]
    Set(SetArguments),
}

/// What `price set` takes.
#[derive(Debug, Args)]
pub(crate) struct SetArguments {
    /// The model's public name
    #[arg(value_parser = values::model)]
    model: String,
    /// Per million tokens of the prompt
    #[arg(long, value_name = "AMOUNT", allow_negative_numbers = true, value_parser = values::price)]
    prompt: Amount,
    /// Per million tokens of the answer
    #[arg(long, value_name = "AMOUNT", allow_negative_numbers = true, value_parser = values::price)]
    completion: Amount,
    /// Per image of a size, or (without SIZE=) of every other size; takes several, and may be repeated
    #[arg(long, value_name = "[SIZE=]AMOUNT", num_args = 1.., allow_negative_numbers = true, value_parser = values::image_price)]
    image: Vec<ImagePrice>,
    /// Which count is billed: our estimate, or the provider's own
    #[arg(long, value_name = "estimate|upstream")]
    basis: Option<Basis>,
}

/// Does it.
pub(crate) async fn run(settings: Settings, command: PriceCommand) -> Result<Report, Failure> {
    let workbench = open(settings).await?;
    match command {
        PriceCommand::List => list(&workbench).await,
        PriceCommand::Set(arguments) => set(&workbench, arguments).await,
    }
}

async fn list(workbench: &Workbench) -> Result<Report, Failure> {
    let sealer = Arc::clone(&workbench.sealer);
    let prices = read(workbench, move |connection| {
        let snapshot = Snapshot::load(connection, &sealer)?;
        let own = price_list::current(connection)?.into_iter().map(|price| price.model);
        let models: BTreeSet<String> = snapshot.model_names().map(str::to_owned).chain(own).collect();
        Ok(models.iter().map(|model| snapshot.price(model)).collect::<Vec<_>>())
    })
    .await?;
    let objects: Vec<Value> = prices.iter().map(Price::to_json).collect();
    Report::of(&objects, listed(&prices, &workbench.settings.currency))
}

async fn set(workbench: &Workbench, arguments: SetArguments) -> Result<Report, Failure> {
    let now = workbench.clock.now();
    let price = write(workbench, move |connection| {
        let present = price_list::of_model(connection, &arguments.model)?
            .ok_or_else(|| Failure::new("not_prepared", "there is no default price yet: run `xiaoyi migrate` once"))?;
        Ok(changes::set_price(connection, changed(present, arguments), &Origin::COMMAND_LINE, now)?)
    })
    .await?;
    Report::of(
        &price.to_json(),
        format!("{} now costs:\n{}", price.model, listed(std::slice::from_ref(&price), &workbench.settings.currency)),
    )
}

/// The present price with what was given put over it.
fn changed(present: Price, arguments: SetArguments) -> NewPrice {
    let mut new = NewPrice {
        model: Some(arguments.model),
        prompt: arguments.prompt,
        completion: arguments.completion,
        image: present.image,
        images: present.images,
        basis: arguments.basis.unwrap_or(present.basis),
    };
    for ImagePrice { size, price } in arguments.image {
        match size {
            None => new.image = price,
            Some(size) => {
                new.images.insert(size, price);
            }
        }
    }
    new
}

fn listed(prices: &[Price], currency: &str) -> String {
    let row = |price: &Price| {
        let sizes = price.images.iter().map(|(size, amount)| format!("{size}={amount}"));
        let others = if price.images.is_empty() { price.image.to_string() } else { format!("others={}", price.image) };
        [
            price.model.clone(),
            price.prompt.to_string(),
            price.completion.to_string(),
            sizes.chain([others]).collect::<Vec<_>>().join(" "),
            price.basis.to_string(),
            if price.is_default { "default price: it has none of its own" } else { "" }.to_owned(),
        ]
    };
    let rows: Vec<_> = prices.iter().map(row).collect();
    let headings = [
        ("MODEL", Side::Left),
        ("PROMPT", Side::Right),
        ("COMPLETION", Side::Right),
        ("IMAGE", Side::Left),
        ("BASIS", Side::Left),
        ("", Side::Left),
    ];
    let nothing = "No model is served or priced yet. Add a channel with: xiaoyi channel add";
    let note = format!("\nPrompt and completion: {currency} per million tokens; image: {currency} each.");
    let listed = table(headings, &rows, nothing);
    if prices.is_empty() { listed } else { listed + &note }
}

#[cfg(test)]
mod tests {
    use shared::price::PriceVersion;

    use super::*;

    fn amount(text: &str) -> Amount {
        text.parse().unwrap()
    }

    #[test]
    fn what_is_not_given_stays() {
        let present = Price {
            version: PriceVersion(3),
            model: "m".to_owned(),
            prompt: amount("1.00"),
            completion: amount("2.00"),
            images: [("256x256".to_owned(), amount("0.10"))].into(),
            image: amount("0.30"),
            basis: Basis::Upstream,
            is_default: false,
        };
        let given = |image: Vec<ImagePrice>, basis| SetArguments {
            model: "m".to_owned(),
            prompt: amount("5.00"),
            completion: amount("6.00"),
            image,
            basis,
        };
        let kept = changed(present.clone(), given(vec![], None));
        assert_eq!((kept.prompt, kept.completion), (amount("5.00"), amount("6.00")));
        assert_eq!((kept.image, &kept.images, kept.basis), (present.image, &present.images, Basis::Upstream));

        let one_size = ImagePrice { size: Some("512x512".to_owned()), price: amount("0.20") };
        let others = ImagePrice { size: None, price: amount("0.40") };
        let new = changed(present, given(vec![one_size, others], Some(Basis::Estimate)));
        let sizes: Vec<_> = new.images.into_iter().collect();
        assert_eq!(sizes, [("256x256".to_owned(), amount("0.10")), ("512x512".to_owned(), amount("0.20"))]);
        assert_eq!((new.image, new.basis), (amount("0.40"), Basis::Estimate));
    }
}
