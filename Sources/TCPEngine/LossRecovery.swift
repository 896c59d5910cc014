import TCPWire

// What acknowledgments and timeouts say of losses: RFC 5681 §3.2, RFC 6582 without SACK, RFC 6675 with it.
extension Connection {
    /// Takes the SACK blocks of an acknowledgment; says how many octets they newly cover.
    private mutating func takeSACK(_ header: TCPHeader, _ context: inout Context) -> Int {
        guard flags.contains(.sack), header.options.sackCount > 0, inFlight > 0 else { return 0 }
        if recovery == nil {
            // Only a block past SND.UNA is news; a D-SACK report alone needs no scoreboard.
            var isNews = false
            for index in 0..<header.options.sackCount
            where header.options.sackBlocks[index].start >= send.unacknowledged
                && header.options.sackBlocks[index].end <= send.next
            {
                isNews = true
            }
            guard isNews else { return 0 }
        }
        guard let recovery = makeRecovery(&context) else { return 0 }
        recovery.makeRoom(&context)
        let added = recovery.update(header.options, acknowledged: send.unacknowledged, next: send.next)
        if probeIsHeld(recovery) { probeArrived(context) }
        // Something as large as the segment that waits has arrived: it was not its size.
        if added >= segmentSize { path.timeouts = 0 }
        return added
    }

    /// An acknowledgment that acknowledges nothing new.
    mutating func noteDuplicate(
        _ header: TCPHeader, isEmpty: Bool, sameWindow: Bool, _ context: inout Context
    ) {
        guard inFlight > 0, send.window > 0, !flags.contains(.probing) else { return }
        let newlySacked = takeSACK(header, &context)
        // RFC 5681 §2: no data, no SYN, no FIN, the same acknowledgment, the same window. With SACK, news counts instead
        // (RFC 6675 §2).
        guard flags.contains(.sack) && header.options.sackCount > 0 ? newlySacked > 0 : isEmpty && sameWindow else {
            return
        }
        if duplicateAcknowledgments == 0 { flightAtDuplicate = UInt32(clamping: inFlight) }
        if duplicateAcknowledgments < .max { duplicateAcknowledgments &+= 1 }
        switch recovery?.phase {
        case .fast:
            if flags.contains(.sack) {
                recovery?.updateLost(segmentSize: segmentSize, threshold: 3)
            } else if let recovery, recovery.inflations > 0 {
                // RFC 5681 §3.2 (4): a segment has left the network. No more can have than were in it: forged duplicates
                // beyond that count for nothing.
                recovery.inflations &-= 1
                congestion.window = min(congestion.window &+ UInt32(segmentSize), 1 &<< 30)
            }
        case .timeout, .resized, .divided: break
        case .open, nil: detectLoss(&context)
        }
    }

    /// RFC 6675 §5: the third duplicate, or a scoreboard that shows the first octet lost.
    private mutating func detectLoss(_ context: inout Context) {
        var isLost = duplicateAcknowledgments >= 3
        if flags.contains(.sack), let recovery {
            recovery.updateLost(segmentSize: segmentSize, threshold: 3)
            if recovery.lostBefore > send.unacknowledged { isLost = true }
        } else if send.unacknowledged <= recover, recover != send.initial {
            // RFC 6582 §3.2 step 1: duplicates of what recovery itself sent are no sign of loss.
            isLost = false
        }
        guard isLost, let recovery = makeRecovery(&context), !repairProbe(recovery, &context) else { return }
        // RFC 5681 §3.2 (2): without the segments of limited transmit.
        let flight = duplicateAcknowledgments > 0 ? Int(flightAtDuplicate) : inFlight
        congestion.enterRecovery(inFlight: flight, segmentSize: segmentSize)
        if !flags.contains(.sack) {
            // RFC 5681 §3.2 (3): three segments have left the network.
            congestion.window &+= UInt32(3 &* segmentSize)
        }
        recovery.phase = .fast
        recovery.inflations = inFlight / segmentSize
        recovery.point = send.next
        recovery.retransmitted = send.unacknowledged
        recovery.lostBefore = .later(
            recovery.lostBefore, send.unacknowledged + min(segmentSize, inFlight))
        recover = send.next
        // RFC 5681 §3.2 (3): the first one goes at once, whatever the window.
        flags.insert(.retransmit)
        flags.remove(.timing)
    }

    /// New data was acknowledged. `inFlight` is what was out before.
    mutating func recoverFrom(
        acknowledged: Int, _ header: TCPHeader, inFlight before: Int, _ context: inout Context
    ) {
        duplicateAcknowledgments = 0
        _ = takeSACK(header, &context)
        guard let recovery else {
            grow(by: acknowledged, inFlight: before, limit: 2)
            return
        }
        recovery.sacked.remove(before: send.unacknowledged)
        // RFC 2018 §8: an acknowledgment that stops short of what was reported says that the peer dropped it.
        if recovery.sacked.first?.start == send.unacknowledged { recovery.sacked.removeAll() }
        recovery.retransmitted = .later(recovery.retransmitted, send.unacknowledged)
        recovery.lostBefore = .later(recovery.lostBefore, send.unacknowledged)
        switch recovery.phase {
        case .open:
            grow(by: acknowledged, inFlight: before, limit: 2)
            if !recovery.sacked.isEmpty { detectLoss(&context) }
        case .fast:
            if send.unacknowledged >= recovery.point {
                endFastRecovery(recovery)
            } else {
                partialAcknowledgment(acknowledged, recovery)
            }
        case .timeout, .resized, .divided:
            recovery.timeouts = 0
            // RFC 3465 §2.3: one segment an acknowledgment while the window of the timeout is repaired.
            grow(by: acknowledged, inFlight: Int(congestion.window), limit: 1)
            if send.unacknowledged >= recovery.point {
                let wasDivided = recovery.phase == .divided
                recovery.phase = .open
                // What else was lost waited for this.
                if wasDivided, !recovery.sacked.isEmpty { detectLoss(&context) }
            }
        }
        if recovery.phase == .open, recovery.sacked.isEmpty { dropRecovery(&context) }
    }

    private mutating func endFastRecovery(_ recovery: Recovery) {
        recovery.phase = .open
        let size = UInt32(segmentSize)
        // RFC 6582 §3.2 step 3, full acknowledgment; RFC 6675 §5: cwnd is ssthresh already.
        if !flags.contains(.sack) {
            congestion.window = min(congestion.threshold, max(UInt32(inFlight), size) &+ size)
        }
    }

    /// RFC 6582 §3.2 step 3: the next hole is lost too, and the window shrinks by what left the network.
    private mutating func partialAcknowledgment(_ acknowledged: Int, _ recovery: Recovery) {
        if flags.contains(.sack) {
            recovery.updateLost(segmentSize: segmentSize, threshold: 3)
            if recovery.sacked.isEmpty {
                recovery.lostBefore = .later(recovery.lostBefore, send.unacknowledged + min(segmentSize, inFlight))
            }
            return
        }
        let size = UInt32(segmentSize)
        congestion.window = max(size, congestion.window &- min(congestion.window, UInt32(clamping: acknowledged)))
        if acknowledged >= segmentSize { congestion.window &+= size }
        recovery.inflations = inFlight / segmentSize
        recovery.lostBefore = send.unacknowledged + min(segmentSize, inFlight)
        recovery.retransmitted = send.unacknowledged
        flags.insert(.retransmit)
    }

    /// The window grows only while it is what limits the sender (RFC 7661 §4.1 in spirit: an unused window proves nothing).
    private mutating func grow(by acknowledged: Int, inFlight before: Int, limit: Int) {
        let window = Int(congestion.window)
        let used = congestion.isSlowStart ? before &* 2 : before &+ 3 &* segmentSize
        guard used >= window else { return }
        congestion.acknowledge(acknowledged, segmentSize: segmentSize, limit: limit)
    }

    /// The retransmission timer expired with data in flight (RFC 6298 §5.4–5.6, RFC 5681 §3.1).
    mutating func retransmissionTimeout(_ context: inout Context) {
        flags.insert(.retransmit)
        flags.remove(.timing)
        duplicateAcknowledgments = 0
        let recovery = makeRecovery(&context)
        let isFirst = recovery.map { $0.phase != .timeout } ?? (rtt.expirations == 0)
        congestion.timeout(inFlight: inFlight, segmentSize: segmentSize, isFirst: isFirst)
        recover = send.next
        guard let recovery else { return }
        // RFC 2018 §8: a peer may take back what it reported. When a second timeout follows, nothing counts any more.
        if recovery.timeouts > 0 { recovery.sacked.removeAll() }
        if recovery.timeouts < .max { recovery.timeouts &+= 1 }
        recovery.phase = .timeout
        recovery.point = send.next
        sendAgain(recovery)
    }

    /// All that is in flight and not SACKed is to go again.
    func sendAgain(_ recovery: Recovery) {
        recovery.lostBefore = send.next
        recovery.retransmitted = send.unacknowledged
    }
}
