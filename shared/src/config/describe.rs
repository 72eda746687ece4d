//! The settings as a person may see them.

use std::fmt::Display;
use std::path::PathBuf;

use secrecy::SecretString;

use super::Settings;

impl Settings {
    /// Every setting with the value that counts, in the order of `default.toml`; a secret only as `(set)`,
    /// an optional one that nobody gave as `(unset)`. The last, `model`, names the models with settings of
    /// their own.
    pub fn describe(&self) -> Vec<(&'static str, String)> {
        vec![
            ("currency", self.currency.clone()),
            ("timezone", self.timezone.name().to_owned()),
            ("database.url", self.database.url.to_string()),
            ("database.password_file", file(self.database.password_file.as_ref())),
            ("redis.url", hidden(self.redis.url.as_ref())),
            ("redis.password_file", file(self.redis.password_file.as_ref())),
            ("redis.ca_file", file(self.redis.ca_file.as_ref())),
            ("redis.prefix", self.redis.prefix.clone()),
            ("migrate.database_url", hidden(self.migrate.database_url.as_ref())),
            ("migrate.database_password_file", file(self.migrate.database_password_file.as_ref())),
            ("start.wait_s", self.start.wait_s.to_string()),
            ("api.listen", self.api.listen.to_string()),
            ("api.cors_origins", self.api.cors_origins.to_string()),
            ("admin.listen", self.admin.listen.to_string()),
            ("admin.url", optional(self.admin.url.as_ref())),
            ("metrics.listen", self.metrics.listen.to_string()),
            ("public.url", optional(self.public.url.as_ref())),
            ("trusted.proxies", joined(&self.trusted.proxies)),
            ("data.dir", self.data.dir.display().to_string()),
            ("secret.key", hidden(self.secret.key.as_ref())),
            ("secret.key_file", file(self.secret.key_file.as_ref())),
            ("openai.api_key", hidden(self.openai.api_key.as_ref())),
            ("openai.base_url", self.openai.base_url.to_string()),
            (
                "openai.models",
                joined(self.openai.models.iter().map(|(public, upstream)| format!("{public}={upstream}"))),
            ),
            ("models.known", joined(&self.models.known)),
            ("models.chat_default", self.models.chat_default.clone()),
            ("models.image_default", self.models.image_default.clone()),
            ("models.moderation_default", self.models.moderation_default.clone()),
            ("models.max_output", self.models.max_output.to_string()),
            ("models.hold_factor", self.models.hold_factor.to_string()),
            ("models.part_tokens", self.models.part_tokens.to_string()),
            ("models.image_sizes", joined(&self.models.image_sizes)),
            ("price.prompt", self.price.prompt.to_string()),
            ("price.completion", self.price.completion.to_string()),
            ("price.image", self.price.image.to_string()),
            ("deadline.total_s", self.deadline.total_s.to_string()),
            ("deadline.first_text_s", self.deadline.first_text_s.to_string()),
            ("deadline.between_chunks_s", self.deadline.between_chunks_s.to_string()),
            ("deadline.connect_s", self.deadline.connect_s.to_string()),
            ("deadline.database_s", self.deadline.database_s.to_string()),
            ("queue.capacity", self.queue.capacity.to_string()),
            ("queue.tenant_share", self.queue.tenant_share.to_string()),
            ("queue.large_bytes", self.queue.large_bytes.to_string()),
            ("queue.frames", self.queue.frames.to_string()),
            ("worker.concurrency", self.worker.concurrency.to_string()),
            ("keys.cache_s", self.keys.cache_s.to_string()),
            ("keys.cache_entries", self.keys.cache_entries.to_string()),
            ("keys.hash_concurrency", self.keys.hash_concurrency.to_string()),
            ("limits.body_bytes", self.limits.body_bytes.to_string()),
            ("limits.keyed_body_bytes", self.limits.keyed_body_bytes.to_string()),
            ("limits.bodies_bytes", self.limits.bodies_bytes().to_string()),
            ("http.workers", self.http.workers.to_string()),
            ("http.max_connections", self.http.max_connections.to_string()),
            ("http.keep_alive_s", self.http.keep_alive_s.to_string()),
            ("http.shutdown_s", self.http.shutdown_s.to_string()),
            ("http.header_timeout_s", self.http.header_timeout_s.to_string()),
            ("http.stalled_s", self.http.stalled_s.to_string()),
            ("upstream.line_bytes", self.upstream.line_bytes.to_string()),
            ("upstream.answer_bytes", self.upstream.answer_bytes.to_string()),
            ("ledger.batch", self.ledger.batch.to_string()),
            ("ledger.queue", self.ledger.queue.to_string()),
            ("ledger.audit_s", self.ledger.audit_s.to_string()),
            ("ledger.sweep_s", self.ledger.sweep_s.to_string()),
            ("ledger.owner_silence_s", self.ledger.owner_silence_s.to_string()),
            ("idempotency.wait_s", self.idempotency.wait_s.to_string()),
            ("idempotency.keep_mib", self.idempotency.keep_mib.to_string()),
            ("records.call_days", self.records.call_days.to_string()),
            ("records.user_days", self.records.user_days().to_string()),
            ("log.filter", self.log.filter.clone()),
            ("log.format", self.log.format.name().to_owned()),
            ("model", joined(self.model.keys())),
        ]
    }
}

fn file(path: Option<&PathBuf>) -> String {
    optional(path.map(|path| path.display()))
}

fn hidden(secret: Option<&SecretString>) -> String {
    optional(secret.map(|_| "(set)"))
}

fn optional(value: Option<impl Display>) -> String {
    value.map_or_else(|| "(unset)".to_owned(), |value| value.to_string())
}

fn joined(items: impl IntoIterator<Item = impl Display>) -> String {
    items.into_iter().map(|item| item.to_string()).collect::<Vec<_>>().join(",")
}
