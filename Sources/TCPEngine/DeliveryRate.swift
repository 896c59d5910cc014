package import TCPWire

/// What is kept of each transmission, so that its delivery tells at which rate the path delivers
/// (draft-ietf-ccwg-bbr-06 §4.1.2.1.2). Counters are kept by their low half, times as ages at the sending: a flight is
/// less than 4 GiB. A transmission that is sent again is stamped again.
package struct SendStamp: BitwiseCopyable {
    /// P.delivered: the low half of C.delivered.
    package var delivered: UInt32
    /// P.lost: the low half of C.lost.
    package var lost: UInt32
    /// Microseconds, rounded up, from C.delivered_time to the sending; `UInt32.max` is that long or longer.
    package var deliveredAge: UInt32
    /// Microseconds, rounded up, from C.first_send_time to the sending; `UInt32.max` is that long or longer.
    package var sendAge: UInt32

    package init(delivered: UInt32, lost: UInt32, deliveredAge: UInt32, sendAge: UInt32) {
        self.delivered = delivered
        self.lost = lost
        self.deliveredAge = deliveredAge
        self.sendAge = sendAge
    }
}

/// The word beside a stamp: P.tx_in_flight in units of 64 octets in the low 24 bits, P.is_app_limited in bit 24. The
/// bits of `free` are whoever keeps the record's.
extension SendStamp {
    private static let flight: UInt32 = 0x00FF_FFFF
    private static let applicationLimited: UInt32 = 0x0100_0000
    /// The bits of the word that say nothing here.
    package static let free: UInt32 = 0xFE00_0000

    /// The word for `inFlight` octets, rounded up; 1 GiB and more are the most that it can say.
    package static func pack(inFlight: Int, isAppLimited: Bool) -> UInt32 {
        let octets = UInt64(max(inFlight, 0))
        let units = UInt32(min((octets &+ 63) / 64, UInt64(flight)))
        return isAppLimited ? units | applicationLimited : units
    }

    /// P.tx_in_flight, in octets.
    package static func inFlight(_ word: UInt32) -> UInt32 { (word & flight) &* 64 }

    /// P.is_app_limited.
    package static func isAppLimited(_ word: UInt32) -> Bool { word & applicationLimited != 0 }
}

/// What one acknowledgment tells of the rate at which the path delivers (draft-ietf-ccwg-bbr-06 §4.1.2.1.3).
/// `DeliveryRate.begin()` makes it, `take` and `finish` fill it in. Counts are octets, times nanoseconds.
package struct RateSample: BitwiseCopyable {
    /// RS.has_data: whether the acknowledgment showed something to have been delivered.
    package var hasData = false
    /// RS.is_app_limited: whether the application, not the path, may have been what set the rate.
    package var isAppLimited = false
    /// RS.delivery_rate, in octets a second; zero when there is no reliable one.
    package var deliveryRate: UInt64 = 0
    /// RS.interval: the longer of what it took to send the flight and to have it acknowledged.
    package var interval: Int64 = 0
    /// RS.delivered: what was delivered over the interval.
    package var delivered: UInt32 = 0
    /// RS.prior_delivered: C.delivered when the newest of the delivered transmissions was sent.
    package var priorDelivered: UInt64 = 0
    /// RS.tx_in_flight: what was in flight with that transmission, right after it was sent.
    package var txInFlight: UInt32 = 0
    /// RS.lost: what was found lost since that transmission, by this acknowledgment too.
    package var lost: UInt32 = 0
    /// RS.rtt, of the newest of what was sent but once (§5.5.7.1); zero when there was none.
    package var roundTrip: Int64 = 0
    /// RS.newly_acked: what this acknowledgment showed to be delivered.
    package var newlyAcked: UInt32 = 0
    /// RS.newly_lost: what this acknowledgment showed to be lost.
    package var newlyLost: UInt32 = 0

    /// C.delivered and C.lost before the acknowledgment.
    fileprivate var deliveredBefore: UInt64 = 0
    fileprivate var lostBefore: UInt64 = 0
    /// P.lost of the newest transmission.
    fileprivate var priorLost: UInt32 = 0
    /// Whether an age that the interval needs is longer than a stamp can say.
    fileprivate var isTooOld = false

    package init() {}
}

/// Delivery rate estimation: the connection's part (draft-ietf-ccwg-bbr-06 §4.1). Its use: `stamp` for each
/// transmission; on an acknowledgment `begin`, `take` for each transmission it shows to be delivered, `lose` for each
/// it shows to be lost, then `finish`. Every step is a few instructions.
package struct DeliveryRate: BitwiseCopyable {
    /// C.delivered: octets delivered over the connection's life.
    package private(set) var delivered: UInt64 = 0
    /// C.lost: octets marked lost over the connection's life.
    package private(set) var lost: UInt64 = 0
    /// C.app_limited: the value of C.delivered past which the idle gap has left the path; zero when there is none.
    package private(set) var appLimited: UInt64 = 0
    /// C.delivered_time: when C.delivered last grew, in nanoseconds.
    private var deliveredTime: Int64
    /// C.first_send_time: the sending of what was last delivered, or the last sending after a silence, in nanoseconds.
    private var firstSendTime: Int64

    package init(now: Instant) {
        deliveredTime = now.nanoseconds
        firstSendTime = now.nanoseconds
    }

    /// Whether the application left the path unfilled, and that gap is still under way.
    package var isAppLimited: Bool { appLimited != 0 }

    /// §4.1.2.2: `length` octets are sent, new or again. `inFlightBefore` is what is in flight without them. Gives what
    /// to keep of the transmission: the stamp, and the word beside it.
    package mutating func stamp(now: Instant, inFlightBefore: Int, length: Int) -> (stamp: SendStamp, word: UInt32) {
        // With nothing in flight the clocks start over: all that is acknowledged from now on was delivered since now.
        if inFlightBefore <= 0 {
            deliveredTime = now.nanoseconds
            firstSendTime = now.nanoseconds
        }
        let stamp = SendStamp(
            delivered: UInt32(truncatingIfNeeded: delivered), lost: UInt32(truncatingIfNeeded: lost),
            deliveredAge: DeliveryRate.age(from: deliveredTime, to: now),
            sendAge: DeliveryRate.age(from: firstSendTime, to: now))
        let inFlight = max(inFlightBefore, 0).addingReportingOverflow(max(length, 0))
        return (
            stamp,
            SendStamp.pack(inFlight: inFlight.overflow ? .max : inFlight.partialValue, isAppLimited: isAppLimited)
        )
    }

    /// Rounded up, so that a rate is never taken for more than it was.
    private static func age(from start: Int64, to now: Instant) -> UInt32 {
        let elapsed = max(now.nanoseconds &- start, 0)
        return UInt32(clamping: elapsed / 1000 &+ (elapsed % 1000 == 0 ? 0 : 1))
    }

    /// An acknowledgment is about to be looked at.
    package func begin() -> RateSample {
        var sample = RateSample()
        sample.deliveredBefore = delivered
        sample.lostBefore = lost
        return sample
    }

    /// §4.1.2.3, UpdateRateSample: `octets` of a transmission were delivered, by SEG.ACK or by SACK, all of it or a
    /// part. The newest transmission makes the sample; of several sent at one instant the last taken counts as the
    /// newest, so take them in the order of sequence numbers.
    package mutating func take(
        _ stamp: SendStamp, _ word: UInt32, sentAt: Instant, octets: Int, isRetransmitted: Bool,
        into sample: inout RateSample, now: Instant
    ) {
        delivered &+= UInt64(max(octets, 0))
        deliveredTime = now.nanoseconds
        let flown = max(now.nanoseconds &- sentAt.nanoseconds, 0)
        // §4.2: what was sent twice does not tell which of the two arrived.
        if !isRetransmitted {
            sample.roundTrip = sample.roundTrip == 0 ? max(flown, 1) : min(sample.roundTrip, max(flown, 1))
        }
        if sample.hasData && sentAt.nanoseconds < firstSendTime { return }
        sample.hasData = true
        firstSendTime = sentAt.nanoseconds
        sample.isAppLimited = SendStamp.isAppLimited(word)
        sample.txInFlight = SendStamp.inFlight(word)
        sample.priorDelivered = delivered &- UInt64(UInt32(truncatingIfNeeded: delivered) &- stamp.delivered)
        sample.priorLost = stamp.lost
        // §4.1.1.2.4: acknowledgments that bunch up cannot make data seem delivered faster than it was sent.
        let sending = Int64(stamp.sendAge) &* 1000
        let acknowledging = (Int64(stamp.deliveredAge) &* 1000).addingReportingOverflow(flown)
        sample.interval = acknowledging.overflow ? .max : max(sending, acknowledging.partialValue)
        sample.isTooOld = stamp.sendAge == .max || stamp.deliveredAge == .max
    }

    /// `octets` of a transmission are believed lost.
    package mutating func lose(_ octets: Int) { lost &+= UInt64(max(octets, 0)) }

    /// §2.2: octets that arrived a second time, as a D-SACK tells, were delivered too.
    package mutating func countDuplicate(_ octets: Int) { delivered &+= UInt64(max(octets, 0)) }

    /// §4.1.2.3, GenerateRateSample. `minimumRoundTrip` is the least that the connection measured, zero before it
    /// measured one: a shorter interval means that the original arrived after all, and its rate is nonsense.
    package mutating func finish(_ sample: inout RateSample, minimumRoundTrip: Int64) {
        if isAppLimited && delivered > appLimited { appLimited = 0 }
        sample.newlyAcked = UInt32(clamping: delivered &- sample.deliveredBefore)
        sample.newlyLost = UInt32(clamping: lost &- sample.lostBefore)
        guard sample.hasData else { return }
        sample.delivered = UInt32(clamping: delivered &- sample.priorDelivered)
        sample.lost = UInt32(truncatingIfNeeded: lost) &- sample.priorLost
        if sample.isTooOld || sample.interval <= 0 || sample.interval < minimumRoundTrip { return }
        // 2³² octets times 10⁹ are less than 2⁶².
        sample.deliveryRate = UInt64(sample.delivered) &* 1_000_000_000 / UInt64(sample.interval)
    }

    /// §4.1.2.4, MarkConnectionAppLimited: there was room to send, and nothing to send, with `inFlight` octets under
    /// way. All that is sent until those are delivered tells the application's rate, not the path's.
    package mutating func markApplicationLimited(inFlight: Int) {
        appLimited = max(delivered &+ UInt64(max(inFlight, 0)), 1)
    }
}
