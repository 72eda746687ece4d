//! The steps that must happen at once, as scripts. `lua/keys.lua` describes the keys.

use std::sync::LazyLock;

use crate::redis_store::Script;

/// Each from the parts that it needs, since Redis makes anew at each call what they define.
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
    ENQUEUE = "lines" "enqueue";
}

// But those that it has come to their end, or it would stay full.
scripts! { "allow-oom":
    CLAIM = "lines" "claim";
    FRAME = "notices" "owned" "frame";
    RENEW = "owned" "renew";
    FINISH = "lines" "notices" "owned" "finish";
    ABANDON = "lines" "notices" "owned" "abandon";
    HAND_BACK = "lines" "notices" "owned" "hand_back";
    CANCEL = "lines" "notices" "cancel";
    LEAVE = "notices" "leave";
    READ = "notices" "read";
    LISTEN = "listen";
    MISSING = "notices" "missing";
    TICK = "lines" "notices" "tick";
    UNREGISTER = "lines" "unregister";
}
