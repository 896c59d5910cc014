internal import CLinux
internal import Glibc
public import TCPWire

/// The clock of loops and hosts: CLOCK_MONOTONIC, in nanoseconds since the machine started.
public enum MonotonicClock {
    /// The time now.
    public static func now() -> Instant {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Instant(nanoseconds: Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec))
    }

    /// Nanoseconds since 1970, for the time stamps of files.
    package static func wallNanoseconds() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec)
    }
}
