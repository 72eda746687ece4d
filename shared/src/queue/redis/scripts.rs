//! The steps that must happen at once, as scripts. `lua/common.lua` describes the keys.

use std::sync::LazyLock;

use crate::redis_store::Script;

macro_rules! scripts {
    ($flags:literal: $($name:ident = $($file:literal)+;)+) => {
        $(pub(super) static $name: LazyLock<Script> = LazyLock::new(|| {
            Script::new(concat!("#!lua flags=", $flags, "\n", include_str!("lua/common.lua"), $(include_str!($file)),+))
        });)+
    };
}

// A Redis without memory takes no more jobs.
scripts! { "":
    ENQUEUE = "lua/enqueue.lua";
}

// But those that it has come to their end, or it would stay full.
scripts! { "allow-oom":
    START = "lua/start.lua";
    FRAME = "lua/owned.lua" "lua/frame.lua";
    RENEW = "lua/owned.lua" "lua/renew.lua";
    FINISH = "lua/owned.lua" "lua/finish.lua";
    ABANDON = "lua/owned.lua" "lua/abandon.lua";
    HAND_BACK = "lua/owned.lua" "lua/hand_back.lua";
    CANCEL = "lua/cancel.lua";
    LEAVE = "lua/leave.lua";
    READ = "lua/read.lua";
    LISTEN = "lua/listen.lua";
    MISSING = "lua/missing.lua";
    TICK = "lua/tick.lua";
    UNREGISTER = "lua/unregister.lua";
}
