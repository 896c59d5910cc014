package import TCPWire

/// HyStart++ (RFC 9406): slow start that ends when round trips grow longer, before anything is lost. It serves the first
/// slow start of a connection (§4.3: SHOULD), whose threshold nothing has set yet, and the growth of the restart window
/// after an idle time within it (§4.3: MAY). Later slow starts end at their threshold.
package struct HyStart: BitwiseCopyable, Sendable {
    package enum Phase: UInt8, BitwiseCopyable, Sendable {
        /// No acknowledgment has come yet to begin a round with.
        case unstarted
        case slowStart
        /// CSS.
        case conservative
        case over
    }

    package private(set) var phase: Phase = .unstarted
    /// Whole and partial rounds of CSS.
    package private(set) var rounds: UInt8 = 0
    /// rttSampleCount, as far as it matters.
    package private(set) var samples: UInt8 = 0
    /// windowEnd: the round is over when this is acknowledged.
    package private(set) var windowEnd = SequenceNumber(0)
    /// lastRoundMinRTT, in microseconds.
    package private(set) var lastMinimum = HyStart.infinity
    /// currentRoundMinRTT, in microseconds.
    package private(set) var currentMinimum = HyStart.infinity
    /// cssBaselineMinRtt, in microseconds.
    package private(set) var baseline = HyStart.infinity

    // §4.3, in microseconds where they are times.
    static let minimumThreshold: UInt32 = 4000
    static let maximumThreshold: UInt32 = 16_000
    static let divisor: UInt32 = 8
    static let sampleCount: UInt8 = 8
    static let growthDivisor: UInt32 = 4
    static let conservativeRounds: UInt8 = 5
    static let infinity = UInt32.max

    package init() {}

    /// What slow start grows by when an acknowledgment counts for `octets`: in CSS a quarter (§4.2).
    func growth(_ octets: UInt32) -> UInt32 {
        phase == .conservative ? octets / HyStart.growthDivisor : octets
    }

    /// Takes the round trip of an acknowledgment, and says whether slow start is over with it.
    mutating func note(_ signal: CongestionSignal) -> Bool {
        switch phase {
        case .over: return false
        case .unstarted:
            phase = .slowStart
            windowEnd = signal.next
        case .slowStart, .conservative: break
        }
        if signal.roundTrip > 0 { take(signal.roundTrip) }
        return signal.unacknowledged >= windowEnd ? endRound(next: signal.next) : false
    }

    private mutating func take(_ roundTrip: Int64) {
        // A minimum of 2³¹ µs is as good as a longer one, and the sums below have room.
        currentMinimum = min(currentMinimum, UInt32(min(roundTrip / 1000, 1 &<< 31)))
        if samples < HyStart.sampleCount { samples &+= 1 }
        guard samples == HyStart.sampleCount else { return }
        if phase == .conservative {
            // §4.2: the rise was a matter of chance.
            if currentMinimum < baseline {
                baseline = HyStart.infinity
                phase = .slowStart
            }
        } else if lastMinimum != HyStart.infinity {
            let rise = max(
                HyStart.minimumThreshold, min(lastMinimum / HyStart.divisor, HyStart.maximumThreshold))
            if currentMinimum >= lastMinimum &+ rise {
                baseline = currentMinimum
                phase = .conservative
                rounds = 0
            }
        }
    }

    /// §4.2: a round is what was in flight when the one before ended.
    private mutating func endRound(next: SequenceNumber) -> Bool {
        windowEnd = next
        lastMinimum = currentMinimum
        currentMinimum = HyStart.infinity
        samples = 0
        guard phase == .conservative else { return false }
        // The part of a round in which CSS began is one of them.
        rounds &+= 1
        if rounds == HyStart.conservativeRounds { stop() }
        return phase == .over
    }

    /// Something was lost or marked (§4.2): from now on the threshold ends slow start.
    mutating func stop() { phase = .over }

    /// An idle time: the path of then is not that of now.
    mutating func restart() {
        if phase != .over { self = HyStart() }
    }
}
