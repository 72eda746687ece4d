//! The tables that are reached through diesel's query builder. The ledger's own (`accounts`, `holds`, `settlements`,
//! `transfers`, `lines`) are written only by [`crate::ledger`], with statements of their own; they stand here for reading.
#![expect(missing_docs, reason = "columns are documented where they are made, in migrations/")]

diesel::table! {
    accounts (id) { id -> BigInt, kind -> Text, posted -> BigInt, held -> BigInt, seq -> BigInt, }
}

diesel::table! {
    tenants (id) { id -> BigInt, name -> Text, suspended_at -> Nullable<BigInt>, created_at -> BigInt, }
}

diesel::table! {
    keys (id) {
        id -> Text,
        tenant -> BigInt,
        name -> Text,
        hash -> Text,
        last_four -> Text,
        models -> Nullable<Text>,
        console -> Text,
        expires_at -> Nullable<BigInt>,
        grace_until -> Nullable<BigInt>,
        revoked_at -> Nullable<BigInt>,
        created_at -> BigInt,
        rpm -> Nullable<BigInt>,
        tpm -> Nullable<BigInt>,
        concurrency -> Nullable<BigInt>,
        ips -> Nullable<Text>,
        last_used_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    channels (id) {
        id -> BigInt,
        name -> Text,
        kind -> Text,
        base_url -> Text,
        sealed_key -> Nullable<Binary>,
        priority -> BigInt,
        weight -> BigInt,
        enabled -> Bool,
        created_at -> BigInt,
    }
}

diesel::table! {
    channel_models (channel, model) { channel -> BigInt, model -> Text, upstream -> Text, }
}

diesel::table! {
    prices (version) {
        version -> BigInt,
        model -> Nullable<Text>,
        prompt -> BigInt,
        completion -> BigInt,
        image -> BigInt,
        sizes -> Text,
        basis -> Text,
        created_at -> BigInt,
    }
}

diesel::table! {
    facts (name) { name -> Text, value -> Binary, }
}

diesel::table! {
    epoch (id) { id -> BigInt, value -> BigInt, }
}

diesel::table! {
    processes (id) { id -> Binary, role -> Text, started_at -> BigInt, seen_at -> BigInt, }
}

diesel::table! {
    audit_log (id) {
        id -> BigInt,
        at -> BigInt,
        actor_kind -> Text,
        actor -> Text,
        staff -> Nullable<BigInt>,
        address -> Nullable<Text>,
        action -> Text,
        tenant -> Nullable<BigInt>,
        subject -> Text,
        before -> Nullable<Text>,
        after -> Nullable<Text>,
    }
}

diesel::table! {
    staff (id) {
        id -> BigInt,
        email -> Text,
        role -> Text,
        password -> Nullable<Text>,
        language -> Text,
        theme -> Text,
        totp_secret -> Nullable<Binary>,
        totp_on_at -> Nullable<BigInt>,
        totp_step -> Nullable<BigInt>,
        disabled_at -> Nullable<BigInt>,
        created_at -> BigInt,
    }
}

diesel::table! {
    staff_recovery_codes (staff, hash) { staff -> BigInt, hash -> Binary, }
}

diesel::table! {
    staff_sessions (hash) {
        hash -> Binary,
        staff -> BigInt,
        needs_code -> Bool,
        wrong_codes -> BigInt,
        address -> Nullable<Text>,
        created_at -> BigInt,
        seen_at -> BigInt,
    }
}

diesel::table! {
    staff_invitations (place) {
        place -> BigInt,
        staff -> Nullable<BigInt>,
        hash -> Binary,
        created_at -> BigInt,
        expires_at -> BigInt,
    }
}

diesel::table! {
    console_sessions (hash) {
        hash -> Binary,
        key_id -> Text,
        address -> Nullable<Text>,
        created_at -> BigInt,
        seen_at -> BigInt,
    }
}

diesel::table! {
    sent_forms (form) { form -> Binary, key_id -> Text, request_id -> Binary, created_at -> BigInt, }
}

diesel::table! {
    code_batches (id) {
        id -> BigInt,
        name -> Text,
        value -> BigInt,
        count -> BigInt,
        expires_at -> BigInt,
        created_by -> Text,
        created_at -> BigInt,
        revoked_at -> Nullable<BigInt>,
        revoked_by -> Nullable<Text>,
    }
}

diesel::table! {
    tenant_notes (id) { id -> BigInt, tenant -> BigInt, author -> Text, text -> Text, created_at -> BigInt, }
}

diesel::table! {
    blocked_users (tenant, end_user) { tenant -> BigInt, end_user -> Text, blocked_at -> BigInt, blocked_by -> Text, }
}

diesel::joinable!(keys -> tenants (tenant));
diesel::joinable!(channel_models -> channels (channel));
diesel::allow_tables_to_appear_in_same_query!(tenants, keys, accounts);
diesel::allow_tables_to_appear_in_same_query!(channels, channel_models);
