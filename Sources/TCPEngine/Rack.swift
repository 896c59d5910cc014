package import TCPWire

/// RACK's variables of a connection (RFC 8985 §5.3).
package struct Rack {
    /// RACK.xmit_ts and RACK.end_seq: the latest sending that is known to have arrived.
    package private(set) var sentAt = Instant(nanoseconds: .min / 2)
    package private(set) var end: SequenceNumber
    /// RACK.rtt: how long that took.
    package private(set) var roundTrip: Int64 = 0
    /// RACK.fack.
    package var highest: SequenceNumber
    /// RACK.dsack_round: while it runs, D-SACK does not widen the window again.
    private var roundEnd: SequenceNumber
    private var isInRound = false
    /// RACK.reordering_seen.
    package private(set) var hasSeenReordering = false
    /// RACK.reo_wnd_mult and RACK.reo_wnd_persist.
    package private(set) var multiplier: UInt8 = 1
    private var persistence: UInt8 = 0

    package init(at start: SequenceNumber) {
        end = start
        highest = start
        roundEnd = start
    }

    /// RFC 8985 §6.2 steps 2 and 3.
    mutating func update(_ delivery: Delivery) {
        highest = .later(highest, delivery.highest)
        if delivery.isReordered { hasSeenReordering = true }
        guard let latest = delivery.latest else { return }
        // Of what was delivered last, though something that was sent later may have overtaken it.
        roundTrip = max(0, delivery.now.nanoseconds &- latest.sentAt.nanoseconds)
        guard Transmission.isAfter(latest.sentAt, latest.end, sentAt, end) else { return }
        sentAt = latest.sentAt
        end = latest.end
    }

    /// What was sent again in fast recovery had only been overtaken.
    mutating func noteOvertaken() { hasSeenReordering = true }

    /// The timeout was spurious: an acknowledgment of what it sent again answered the first sending, and says nothing of
    /// what was sent before. What has arrived now does.
    mutating func restart(_ delivery: Delivery) {
        sentAt = Instant(nanoseconds: .min / 2)
        update(delivery)
    }

    /// Whether a record was sent before what has arrived.
    func isAfter(_ record: Transmission) -> Bool { Transmission.isAfter(sentAt, end, record.sentAt, record.end) }

    /// RFC 8985 §6.2 step 4: a D-SACK says that something was sent again too early. Once a round trip the window grows.
    mutating func noteDuplicateReport(unacknowledged: SequenceNumber, next: SequenceNumber) {
        guard !isInRound || unacknowledged >= roundEnd else { return }
        isInRound = true
        roundEnd = next
        if multiplier < .max { multiplier &+= 1 }
        persistence = 16
    }

    /// Everything before `number` has arrived: the round may be over, and sequence numbers fall behind no further.
    mutating func notePassed(_ number: SequenceNumber) {
        if isInRound, number >= roundEnd { isInRound = false }
        if !isInRound { roundEnd = number }
        highest = .later(highest, number)
        if end < number { end = number }
    }

    /// RFC 8985 §6.2 step 4: a recovery ended. After sixteen without a D-SACK the window is narrow again.
    mutating func noteRecoveryEnded() {
        guard persistence > 0 else { return }
        persistence &-= 1
        if persistence == 0 { multiplier = 1 }
    }

    /// RACK.reo_wnd, in nanoseconds. `isUrgent`: in recovery, or DupThresh segments have been reported.
    func window(isUrgent: Bool, leastRoundTrip: Int64, smoothedRoundTrip: Int64) -> Int64 {
        if !hasSeenReordering, isUrgent { return 0 }
        return min(Int64(multiplier) &* (leastRoundTrip / 4), smoothedRoundTrip)
    }

    package func fingerprint(into hash: inout Fingerprint, _ origin: Fingerprint.Origin) {
        if sentAt.nanoseconds == .min / 2 {
            hash.add(UInt64.max)
        } else {
            hash.add(past: sentAt, origin.now)
        }
        hash.add(origin.local(end) | origin.local(highest) &<< 32)
        hash.add(UInt64(bitPattern: roundTrip))
        hash.add(hasSeenReordering)
        hash.add(UInt64(multiplier) | UInt64(persistence) &<< 8)
        hash.add(isInRound ? origin.local(roundEnd) : .max)
    }
}

// RFC 8985 §6: what was sent before something that has arrived, and has not arrived itself, is lost.
extension Connection {
    /// DupThresh (RFC 6675 §2).
    static var duplicateThreshold: Int { 3 }

    /// How long what was overtaken is waited for.
    private var reorderingWindow: Int64 {
        let segments = max(transmissions.sackedRanges, (transmissions.sackedOctets &+ segmentSize &- 1) / segmentSize)
        let isUrgent =
            recovery.phase == .fast || recovery.phase == .timeout || segments >= Connection.duplicateThreshold
        return rack.window(isUrgent: isUrgent, leastRoundTrip: leastRoundTrip, smoothedRoundTrip: rtt.smoothed)
    }

    /// RFC 8985 §6.2 step 5, RACK_detect_loss: marks what is lost by now, and sets the reordering timer for what may yet
    /// come. Says how many octets are newly lost, and whether retransmissions of this recovery are among them.
    mutating func detectLosses(_ context: borrowing Context) -> (octets: Int, again: Bool) {
        var lost = 0
        var again = false
        var wait: Int64 = 0
        let window = reorderingWindow
        let now = context.now.nanoseconds
        var index = 0
        while index < transmissions.count {
            let record = transmissions[index]
            if record.isSacked || record.isLost {
                index &+= 1
                continue
            }
            guard rack.isAfter(record) else {
                // Later in sequence is later in time, but for what was sent again.
                if !record.isRetransmission { break }
                index &+= 1
                continue
            }
            let remaining = record.sentAt.nanoseconds &+ rack.roundTrip &+ window &- now
            if remaining > 0 {
                wait = max(wait, remaining)
                index &+= 1
                continue
            }
            if record.isRetransmission, record.sentAt >= recovery.startedAt { again = true }
            lost &+= markLost(index, context.now)
            index = transmissions.join(at: index) &+ 1
        }
        if wait > 0 {
            lossAt = context.now.advanced(byNanoseconds: wait)
            flags.remove(.tailProbeTimer)
        } else if !flags.contains(.tailProbeTimer) {
            lossAt = .distantFuture
        }
        return (lost, again)
    }

    /// A record counts as lost. Says how many octets that are.
    mutating func markLost(_ index: Int, _ now: Instant) -> Int {
        let record = transmissions[index]
        let octets = transmissions.noteLost(index)
        rate.lose(octets)
        counters.noteLost(octets)
        congestion.noteLost(
            record, from: transmissions.start(of: index), octets: octets, rate, now: now)
        return octets
    }

    /// RFC 8985 §6.3, RACK_mark_losses_on_RTO: the first segment, and all that should have been acknowledged by now.
    /// Without SACK that is everything (RFC 6298 §5.4 and what follows from it).
    mutating func markLossesOnTimeout(_ context: inout Context) {
        let window = reorderingWindow
        if flags.contains(.sack), !transmissions.isEmpty, transmissions.makeRoom(for: 1, &context) {
            transmissions.cut(at: transmissions.start + segmentSize)
        }
        var index = 0
        while index < transmissions.count {
            let record = transmissions[index]
            let age = context.now.nanoseconds &- record.sentAt.nanoseconds
            if record.isSacked || record.isLost
                || index > 0 && flags.contains(.sack) && age < rack.roundTrip &+ window
            {
                index &+= 1
                continue
            }
            _ = markLost(index, context.now)
            index = transmissions.join(at: index) &+ 1
        }
    }
}
