import TCPEngine
import TCPWire

/// SplitMix64: the same numbers on every run.
struct Dice: RandomNumberGenerator {
    var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var word = state
        word = (word ^ word >> 30) &* 0xBF58_476D_1CE4_E5B9
        word = (word ^ word >> 27) &* 0x94D0_49BB_1331_11EB
        return word ^ word >> 31
    }
}

let millisecond: Int64 = 1_000_000
let second: Int64 = 1_000_000_000

/// What the tests ask of either control.
protocol Control: SlowStarting, BitwiseCopyable {
    init(segmentSize: Int, synWasLost: Bool, initialSegments: Int)
    mutating func acknowledge(_ signal: CongestionSignal)
    mutating func reduce(inFlight: Int, segmentSize: Int, isECN: Bool, now: Instant)
    mutating func timeout(inFlight: Int, segmentSize: Int, isFirst: Bool, now: Instant)
    mutating func restore(_ before: Self)
}

extension NewReno: Control {}
extension Cubic: Control {}

extension Control {
    /// One in congestion avoidance after a loss at `window` octets.
    static func afterLoss(at window: UInt32, size: Int = 1000) -> Self {
        var control = Self(segmentSize: size, synWasLost: false, initialSegments: 0)
        control.window = window
        control.lose(size: size)
        return control
    }

    /// A loss with the whole window in flight, and recovery to its end.
    mutating func lose(size: Int = 1000, isECN: Bool = false) {
        reduce(inFlight: Int(window), segmentSize: size, isECN: isECN, now: .zero)
        window = threshold
        endRecovery(segmentSize: size)
    }

    /// `octets` arrive at `now`.
    mutating func receive(
        _ octets: Int, at now: Int64 = 0, size: Int = 1000, roundTrip: Int64 = 100 * millisecond, limit: Int = 0,
        isLimited: Bool = true
    ) {
        var signal = CongestionSignal(now: Instant(nanoseconds: now), segmentSize: size)
        signal.acknowledged = octets
        signal.delivered = octets
        signal.roundTrip = roundTrip
        signal.smoothedRoundTrip = roundTrip
        signal.segmentLimit = limit
        signal.isWindowLimited = isLimited
        acknowledge(signal)
    }

    /// A window arrives segment by segment, spread over a round trip from `now` on. Says when it is over.
    mutating func receiveWindow(
        from now: Int64 = 0, size: Int = 1000, roundTrip: Int64 = 100 * millisecond
    ) -> Int64 {
        let count = max(1, Int(window) / size)
        for index in 1...count {
            receive(size, at: now + roundTrip * Int64(index) / Int64(count), size: size, roundTrip: roundTrip)
        }
        return now + roundTrip
    }
}

/// Drives slow start by rounds as HyStart++ sees them: the sequence numbers of a sender that always has more to send.
struct Rounds<C: Control> {
    var control: C
    var sent = SequenceNumber(0xFFFF_F000)
    var acknowledged = SequenceNumber(0xFFFF_F000)
    let size = 1000

    init(initialSegments: Int = 10) {
        control = C(segmentSize: 1000, synWasLost: false, initialSegments: initialSegments)
        sent += Int(control.window)
    }

    /// Acknowledges one segment of those in flight, and sends what the window then lets out.
    mutating func acknowledge(_ roundTrip: Int64, limit: Int = 0, isLimited: Bool = true) {
        var signal = CongestionSignal(now: .zero, segmentSize: size)
        acknowledged += size
        signal.unacknowledged = acknowledged
        signal.next = sent
        signal.delivered = size
        signal.roundTrip = roundTrip
        signal.smoothedRoundTrip = roundTrip
        signal.segmentLimit = limit
        signal.isWindowLimited = isLimited
        control.acknowledge(signal)
        let inFlight = Int(sent - acknowledged)
        sent += max(0, (Int(control.window) - inFlight) / size * size)
    }

    /// The segments whose acknowledgments are still to come before the round is over.
    var left: Int {
        let end = control.hyStart.phase == .unstarted ? sent : control.hyStart.windowEnd
        return Int(end - acknowledged) / size
    }

    /// A round passes, each segment in it after that round trip.
    mutating func round(_ roundTrip: Int64) {
        for _ in 0..<left { acknowledge(roundTrip) }
    }

    /// All that is in flight is acknowledged.
    mutating func flight(_ roundTrip: Int64) {
        for _ in 0..<Int(sent - acknowledged) / size { acknowledge(roundTrip) }
    }
}
