import TCPWire

/// What is counted of one connection for those who look at it; nothing that it does depends on it. 31 bytes, idle connections
/// keep them: counts of what is rare stay at their largest value, octets that went and came are kept as what sequence numbers
/// do not tell themselves.
package struct ConnectionCounters {
    // Octets sent again and octets lost, in two parts so that nothing is lost to alignment.
    private var retransmittedLow: UInt32 = 0
    private var lostLow: UInt32 = 0
    /// The delivery rate in units of eight octets a second.
    private var rate: UInt32 = 0
    private var retransmittedHigh: UInt16 = 0
    private var lostHigh: UInt16 = 0
    /// How often SND.UNA and RCV.NXT came past the initial sequence number.
    package private(set) var sendTurns: UInt16 = 0
    package private(set) var receiveTurns: UInt16 = 0
    /// Tail loss probes sent (RFC 8985 §7.3).
    package private(set) var tailProbes: UInt16 = 0
    /// Retransmission timeouts with data in flight.
    package private(set) var timeouts: UInt16 = 0
    /// Fast recoveries begun.
    package private(set) var recoveries: UInt16 = 0
    /// D-SACKs that came (RFC 2883).
    package private(set) var duplicateReports: UInt16 = 0
    /// The state in which the connection ended.
    private(set) var lastState = State.closed
    /// Whether the program, not the path, may have set the delivery rate.
    package private(set) var isRateApplicationLimited = false
    /// Whether segments were seen to arrive out of order.
    package private(set) var hasSeenReordering = false

    package init() {}

    /// Octets sent again; the count starts over at 2⁴⁸.
    package var retransmittedOctets: UInt64 { UInt64(retransmittedHigh) &<< 32 | UInt64(retransmittedLow) }

    /// Octets found lost, as often as they were; the count starts over at 2⁴⁸.
    package var lostOctets: UInt64 { UInt64(lostHigh) &<< 32 | UInt64(lostLow) }

    /// Octets a second, in steps of eight; zero before the first sample.
    package var deliveryRate: UInt64 { UInt64(rate) &* 8 }

    mutating func noteSentAgain(_ octets: Int) {
        let sum = retransmittedOctets &+ UInt64(max(octets, 0))
        retransmittedLow = UInt32(truncatingIfNeeded: sum)
        retransmittedHigh = UInt16(truncatingIfNeeded: sum &>> 32)
    }

    mutating func noteLost(_ octets: Int) {
        let sum = lostOctets &+ UInt64(max(octets, 0))
        lostLow = UInt32(truncatingIfNeeded: sum)
        lostHigh = UInt16(truncatingIfNeeded: sum &>> 32)
    }

    mutating func noteReordering() { hasSeenReordering = true }

    /// `before` and `after` count from the initial sequence number; no segment takes them half the circle on.
    package mutating func noteSend(from before: UInt32, to after: UInt32) { if after < before { sendTurns &+= 1 } }
    package mutating func noteReceive(from before: UInt32, to after: UInt32) {
        if after < before { receiveTurns &+= 1 }
    }

    mutating func noteTailProbe() { ConnectionCounters.count(&tailProbes) }
    mutating func noteTimeout() { ConnectionCounters.count(&timeouts) }
    mutating func noteRecovery() { ConnectionCounters.count(&recoveries) }
    mutating func noteDuplicateReport() { ConnectionCounters.count(&duplicateReports) }
    mutating func noteEnd(in state: State) { lastState = state }

    private static func count(_ number: inout UInt16) { if number < .max { number &+= 1 } }

    /// A sample whose rate the program set tells of the path only where it is no less than what is known.
    mutating func noteRate(_ sample: RateSample) {
        guard sample.deliveryRate > 0 else { return }
        let new = UInt32(clamping: (sample.deliveryRate &+ 4) / 8)
        guard !sample.isAppLimited || new >= rate else { return }
        rate = new
        isRateApplicationLimited = sample.isAppLimited
    }
}

// What sequence numbers tell of the octets that went and came.
extension Connection {
    /// SND.UNA and RCV.NXT, counted from the initial sequence numbers.
    var sendOffset: UInt32 { send.unacknowledged.rawValue &- send.initial.rawValue }
    var receiveOffset: UInt32 { receive.next.rawValue &- receive.initial.rawValue }

    /// Octets that the peer has acknowledged.
    package var octetsAcknowledged: UInt64 {
        let passed = UInt64(counters.sendTurns) &<< 32 | UInt64(sendOffset)
        // The SYN is none, nor is the FIN.
        return passed &- min(passed, isFinAcknowledged ? 2 : 1)
    }

    /// Octets that came in order.
    package var octetsReceived: UInt64 {
        let passed = UInt64(counters.receiveTurns) &<< 32 | UInt64(receiveOffset)
        return passed &- min(passed, isFinReceived ? 2 : 1)
    }

    /// Octets that were sent at least once.
    package var octetsSent: UInt64 {
        guard send.next > queueStart else { return octetsAcknowledged }
        return octetsAcknowledged &+ UInt64(send.next.distance(from: queueStart) &- (isFinSent ? 1 : 0))
    }

    package var isFinAcknowledged: Bool {
        switch state {
        case .finWait2, .timeWait: true
        case .closed:
            // A close that ends well in LAST-ACK ends with the acknowledgment of the FIN.
            counters.lastState == .finWait2 || counters.lastState == .lastAck && error == nil
        default: false
        }
    }

    private var isFinReceived: Bool {
        switch state == .closed ? counters.lastState : state {
        case .closeWait, .closing, .lastAck, .timeWait: true
        default: false
        }
    }
}
