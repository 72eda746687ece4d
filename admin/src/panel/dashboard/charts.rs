//! The dashboard's charts.

use std::cmp::Reverse;

use shared::clock::Timestamp;
use shared::money::Amount;
use shared::rollups::{ChannelDid, Dashboard, Figures, Step};

use super::range::Range;
use crate::frame::chart::{Chart, Series, Shape};
use crate::frame::format::{count, local, milliseconds, thousandths};
use crate::frame::page::Page;

/// So many channels have a colour of their own.
const COLOURS: usize = 5;

/// Calls that were neither answered nor failed: their clients left, or a provider would not have them.
pub(super) const fn others(figures: &Figures) -> i64 {
    figures.calls.saturating_sub(figures.answered).saturating_sub(figures.failed)
}

/// One chart for each question.
pub(super) fn of(page: &Page, range: &Range, did: &Dashboard) -> Vec<Chart> {
    let points = &did.points;
    let labels: Vec<String> = points.iter().map(|point| label(page, range, point.start)).collect();
    let each = match range.step {
        Step::Quarter => page.say("per quarter of an hour", "每 15 分钟"),
        Step::Hour => page.say("per hour", "每小时"),
        Step::Day(_) => page.say("per day", "每天"),
        Step::Week(_) => page.say("per week", "每周"),
    };
    let words = (page.say("From", "起始时间"), page.say("As a table", "以表格显示"));
    let values = |value: fn(&Figures) -> i64| points.iter().map(move |point| value(&point.figures));
    let series =
        |english: &'static str, chinese: &'static str, value| Series::of(page.say(english, chinese), values(value));
    let measured = |name: &str, value: fn(&Figures) -> Option<i64>| Series {
        name: name.to_owned(),
        values: points.iter().map(|point| value(&point.figures)).collect(),
    };
    let chart = |title: String, shape, write: fn(i64) -> String, series| Chart {
        title,
        shape,
        labels: labels.clone(),
        series,
        write,
        words,
    };
    vec![
        chart(
            format!("{} {each}", page.say("Requests", "请求数")),
            Shape::Area,
            count,
            vec![series("Requests", "请求数", |figures| figures.calls)],
        ),
        chart(
            format!("{} {each}", page.say("Tokens", "token 数")),
            Shape::Bars,
            count,
            vec![
                series("Prompt", "输入", |figures| figures.prompt_tokens),
                series("Completion", "输出", |figures| figures.completion_tokens),
            ],
        ),
        chart(
            format!("{} {each} ({})", page.say("Revenue", "收入"), page.currency()),
            Shape::Bars,
            amount,
            vec![series("Revenue", "收入", |figures| figures.revenue.nanos().max(0))],
        ),
        chart(
            format!("{} {each}", page.say("Requests without an answer", "未完成的请求")),
            Shape::Bars,
            count,
            vec![
                series("Failed here or at a provider", "本服务或上游失败", |figures| figures.failed),
                series("Client left, or request rejected", "客户端断开或请求被拒", others),
                series("Refused at the door", "准入时拒绝", |figures| figures.refused),
            ],
        ),
        chart(
            page.say("Time to the end of an answer (ms)", "完成回答所需时间（毫秒）").to_owned(),
            Shape::Line,
            milliseconds,
            vec![measured("p50", |figures| figures.p50_ms), measured("p95", |figures| figures.p95_ms)],
        ),
        chart(
            format!("{} {each}", page.say("Active tenants", "活跃客户")),
            Shape::Area,
            count,
            vec![series("Active tenants", "活跃客户", |figures| figures.active_tenants)],
        ),
        chart(
            format!("{} {each}", page.say("Calls waiting in the queue, mean", "平均排队调用数")),
            Shape::Area,
            thousandths,
            vec![series("Calls waiting, mean", "平均排队数", Figures::mean_depth)],
        ),
        chart(
            page.say("Wait in the queue (ms)", "排队等待时间（毫秒）").to_owned(),
            Shape::Line,
            milliseconds,
            vec![
                measured(page.say("Mean", "平均"), Figures::mean_wait_ms),
                measured(page.say("Longest", "最长"), |figures| figures.longest_wait_ms),
            ],
        ),
        chart(
            format!("{} {each}", page.say("Failed tries by channel", "各渠道失败的尝试")),
            Shape::Bars,
            count,
            failures(page, &did.channels, points.len()),
        ),
    ]
}

/// The failed tries of each channel, by name. Where there are more than colours, the least of them are together.
fn failures(page: &Page, channels: &[ChannelDid], steps: usize) -> Vec<Series> {
    if channels.is_empty() {
        return vec![Series::of(page.say("No channel was tried", "没有渠道被使用"), vec![0; steps])];
    }
    let mut most: Vec<&ChannelDid> = channels.iter().collect();
    most.sort_by_key(|did| Reverse(did.health.failures));
    let rest = if most.len() > COLOURS { most.split_off(COLOURS - 1) } else { Vec::new() };
    most.sort_by(|one, other| one.name.cmp(&other.name));
    let own = most.iter().map(|did| Series::of(did.name.clone(), did.failures.iter().copied()));
    let together = (!rest.is_empty()).then(|| {
        let at = |step| rest.iter().filter_map(|did| did.failures.get(step)).sum::<i64>();
        Series::of(page.say("Others", "其他"), (0..steps).map(at))
    });
    own.chain(together).collect()
}

fn amount(nanos: i64) -> String {
    Amount::from_nanos(nanos).to_string()
}

fn label(page: &Page, range: &Range, start: Timestamp) -> String {
    let shape = match range.step {
        Step::Day(_) | Step::Week(_) => "%m-%d",
        Step::Quarter | Step::Hour if range.has_days() => "%m-%d %H:%M",
        Step::Quarter | Step::Hour => "%H:%M",
    };
    local(start, page.zone()).map_or_else(String::new, |moment| moment.format(shape).to_string())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use actix_web::test::TestRequest;
    use shared::calls::ChannelHealth;

    use super::*;
    use crate::frame::side::tests::side;

    #[test]
    fn more_channels_than_colours_are_shown_together() {
        let page =
            Page::anonymous(&TestRequest::default().to_http_request(), &Arc::new(side("http://x")), Timestamp(0));
        let did = |name: &str, failures: [i64; 2]| {
            let health = ChannelHealth { failures: failures.iter().sum(), ..ChannelHealth::default() };
            ChannelDid { name: name.to_owned(), health, failures: failures.to_vec() }
        };
        let all = [("f", [9, 0]), ("e", [0, 8]), ("d", [1, 1]), ("c", [0, 1]), ("b", [5, 5]), ("a", [3, 0])];
        let all = all.map(|(name, failures)| did(name, failures));
        let shown = |channels: &[ChannelDid]| {
            let series = failures(&page, channels, 2).into_iter();
            let flat = series.map(|series| (series.name, series.values.into_iter().flatten().collect::<Vec<_>>()));
            flat.map(|(name, values)| format!("{name} {values:?}")).collect::<Vec<_>>()
        };
        assert_eq!(shown(&all), ["a [3, 0]", "b [5, 5]", "e [0, 8]", "f [9, 0]", "Others [1, 2]"]);
        assert_eq!(shown(&all[2..4]), ["c [0, 1]", "d [1, 1]"]);
        assert_eq!(shown(&[]), ["No channel was tried [0, 0]"]);
    }
}
