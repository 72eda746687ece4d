//! People's accounts on a real database: invitations, signing in, sessions, and what owners and people themselves change.

mod desk;
mod invitations;
mod management;
mod only_postgres;
mod own_settings;
mod sessions;
mod sign_in;
