//! The steps that must happen at once, as scripts. `lua/keys.lua` describes the keys.

use std::sync::LazyLock;

use crate::redis_store::Script;

/// Each from the parts that it needs, in an order in which a call that ends early makes little of what they define: Redis does that anew
/// for each call.
macro_rules! scripts {
    ($flags:literal: $($name:ident = $($part:literal)+;)+) => {
        $(pub(super) static $name: LazyLock<Script> = LazyLock::new(|| {
            Script::new(concat!(
                "#!lua flags=", $flags, "\n",
                include_str!("lua/keys.lua"),
                $(include_str!(concat!("lua/", $part, ".lua"))),+
            ))
        });)+
    };
}

// A Redis without memory takes no more jobs.
scripts! { "":
    ENQUEUE = "slots" "enqueue" "lines" "enqueue_in_line";
}

// But those that it has come to their end, or it would stay full.
scripts! { "allow-oom":
    CLAIM = "slots" "claim";
    FRAME = "notices" "owned" "frame";
    RENEW = "owned" "renew";
    FINISH = "slots" "notices" "owned" "finish" "lines" "finish_for_others";
    ABANDON = "slots" "lines" "notices" "owned" "abandon";
    HAND_BACK = "slots" "lines" "notices" "owned" "hand_back";
    CANCEL = "slots" "lines" "notices" "cancel";
    LEAVE = "notices" "leave";
    READ = "notices" "read";
    LISTEN = "listen";
    MISSING = "notices" "missing";
    TICK = "slots" "lines" "notices" "tick";
    UNREGISTER = "slots" "lines" "unregister";
}
