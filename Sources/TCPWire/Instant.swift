/// A point in time, in nanoseconds since an origin the caller chooses. The core reads no clock: every call that needs
/// the time is handed one of these, and they must never go back.
public struct Instant: Hashable, Comparable, Sendable, BitwiseCopyable {
    /// Nanoseconds since the origin. 2⁶³ of them are 292 years.
    public var nanoseconds: Int64

    /// The instant that many nanoseconds after the origin.
    @inlinable public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

    /// The origin.
    @inlinable public static var zero: Instant { Instant(nanoseconds: 0) }

    /// A time that never comes.
    @inlinable public static var distantFuture: Instant { Instant(nanoseconds: .max) }

    /// The instant `duration` later; the far future when that cannot be told.
    public static func + (left: Instant, duration: Duration) -> Instant {
        left.advanced(byNanoseconds: duration.nanoseconds)
    }

    /// The time from `right` to `left`, saturating at 292 years.
    public static func - (left: Instant, right: Instant) -> Duration {
        let (difference, overflow) = left.nanoseconds.subtractingReportingOverflow(right.nanoseconds)
        return .nanoseconds(overflow ? (left < right ? .min : .max) : difference)
    }

    /// The instant `count` nanoseconds later, saturating.
    @inlinable public func advanced(byNanoseconds count: Int64) -> Instant {
        let (sum, overflow) = nanoseconds.addingReportingOverflow(count)
        return Instant(nanoseconds: overflow ? (count < 0 ? .min : .max) : sum)
    }

    /// Whether `left` comes before `right`.
    @inlinable public static func < (left: Instant, right: Instant) -> Bool { left.nanoseconds < right.nanoseconds }
}

extension Duration {
    /// The whole nanoseconds of this duration, saturating at 292 years.
    public var nanoseconds: Int64 {
        let (seconds, attoseconds) = components
        let (product, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        if overflow { return seconds < 0 ? .min : .max }
        let (sum, carried) = product.addingReportingOverflow(attoseconds / 1_000_000_000)
        return carried ? (seconds < 0 ? .min : .max) : sum
    }
}
