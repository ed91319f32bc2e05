package io.github.vfio4j.cli.doctor;

import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** How much memory this process may lock, and so map for devices (RLIMIT_MEMLOCK, getrlimit(2)). */
final class MemlockCheck implements Check {

    private static final Pattern LIMIT = Pattern
            .compile("(?m)^Max locked memory\\s+(unlimited|[0-9]{1,18})\\s+(unlimited|[0-9]{1,18})\\s");
    private static final Pattern CAPABILITIES = Pattern.compile("(?m)^CapEff:\\s*([0-9a-f]{1,16})$");

    /** CAP_IPC_LOCK (capabilities(7)), by which the limit does not count. */
    private static final long IPC_LOCK = 1 << 14;

    /** What Linux gives by itself from 5.16 on: too little for a virtual machine, enough for the queues of a driver. */
    private static final long ENOUGH = 8L << 20;

    private static final long UNLIMITED = Long.MAX_VALUE;

    @Override
    public String name() {
        return "memlock";
    }

    @Override
    public Finding examine(Examination on) {
        if (hasIpcLock(on.files())) {
            return ok(on.machine().user() + " may lock all memory (CAP_IPC_LOCK)");
        }
        Matcher limits = LIMIT.matcher(on.files().read("/proc/self/limits").orElse(""));
        if (!limits.find()) {
            return unknown("The limit of locked memory cannot be read", Fix.byUser("ulimit -l"));
        }
        long limit = bytes(limits.group(1));
        if (limit == UNLIMITED) {
            return ok("All memory may be locked");
        }
        Fix fix = raise(on.machine().user(), limit, limits.group(2));
        String message = (limit >> 10) + " KiB may be locked, and so mapped for devices: more is ENOMEM"
                + (fix.asRoot() ? "; raise it and log in again (in a unit of systemd: LimitMEMLOCK=infinity)" : "");
        return limit < ENOUGH ? problem(message, fix) : note(message, fix);
    }

    private static boolean hasIpcLock(SystemFiles files) {
        Optional<String> status = files.read("/proc/self/status");
        Matcher capabilities = CAPABILITIES.matcher(status.orElse(""));
        return capabilities.find() && (Long.parseUnsignedLong(capabilities.group(1), 16) & IPC_LOCK) != 0;
    }

    private static long bytes(String limit) {
        return limit.equals("unlimited") ? UNLIMITED : Long.parseLong(limit);
    }

    /** Up to the hard limit without anybody's help. */
    private static Fix raise(String user, long soft, String hard) {
        long most = bytes(hard);
        if (most >= ENOUGH && most > soft) {
            return Fix.byUser("ulimit -l " + (most == UNLIMITED ? "unlimited" : most >> 10));
        }
        return Fix.byRoot("echo '" + user + " - memlock unlimited' > /etc/security/limits.d/vfio.conf");
    }
}
