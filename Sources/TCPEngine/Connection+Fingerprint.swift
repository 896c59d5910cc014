import TCPWire

// The whole state of a connection as one hash: every field that what it does later can depend on. A test holds this file
// against the stored fields, so that none is forgotten.
//
// Left out, because nothing the network or the program can see follows from them:
// - `inPlace`: nothing is in it.
// - `retransmittedSegments`, `spuriousRecoveries` and `counters`: only counted.
// - `heardAt` without keep-alive, `timedAt` and `timedEnd` with no segment timed, `flightAtDuplicate` without duplicates,
//   `sentAt` while the congestion window is not above what an idle time would make of it: they are written before they
//   are next read.
// - `recentTimestampAt`: hashed in days, because it is compared with 24 of them (RFC 7323 §5.5).
// - `challengeSecond`: what was used of this second's challenges is hashed instead, for the limit differs from second to
//   second. Where in the second `now` lies is not: sixteen challenges within one second are needed to tell.
// - `ring`, `first`, `blockCount` and `headOffset` of a queue: where octets lie. The octets themselves are hashed, and `length` of them.
// - `byteCount` of ranges: the sum of their lengths.
extension Connection {
    package func fingerprint(into hash: inout Fingerprint, _ origin: Fingerprint.Origin, _ context: borrowing Context) {
        hash.add(
            UInt64(state.rawValue) | UInt64(error?.rawValue ?? .max) &<< 8 | UInt64(changes.rawValue) &<< 16)
        hash.add(flags.rawValue)
        addSend(&hash, origin)
        addReceive(&hash, origin)
        hash.add(UInt64(peerSegmentSize) | UInt64(linkSegmentSize) &<< 16)
        addPath(&hash, origin)
        sendQueue.fingerprint(into: &hash, from: 0, count: sendQueue.count, context.pool)
        receiveQueue.fingerprint(into: &hash, from: 0, count: receiveQueue.count, context.pool)
        hash.add(reassembly != nil)
        if let reassembly {
            reassembly.fingerprint(into: &hash, origin)
            for range in reassembly.ranges.ranges {
                receiveQueue.fingerprint(
                    into: &hash, from: receiveQueue.count &+ range.start.distance(from: receive.next),
                    count: range.end.distance(from: range.start), context.pool)
            }
        }
        rtt.fingerprint(into: &hash)
        hash.add(UInt64(idleWindow) | UInt64(idleThreshold) &<< 32)
        hash.add(hasSender)
        if hasSender { congestion.fingerprint(into: &hash, origin) }
        addLoss(&hash, origin)
        addTimes(&hash, origin, context)
        addSettings(&hash)
    }

    private func addSend(_ hash: inout Fingerprint, _ origin: Fingerprint.Origin) {
        hash.add(origin.local(send.initial) | origin.local(send.unacknowledged) &<< 32)
        hash.add(origin.local(send.next) | UInt64(send.window) &<< 32)
        hash.add(UInt64(send.maximumWindow) | origin.remote(send.windowSequence) &<< 32)
        hash.add(origin.local(send.windowAcknowledgment) | UInt64(send.scale) &<< 32)
    }

    private func addReceive(_ hash: inout Fingerprint, _ origin: Fingerprint.Origin) {
        // In SYN-SENT nothing of the peer's is known.
        guard state != .synSent else { return }
        hash.add(origin.remote(receive.initial) | origin.remote(receive.next) &<< 32)
        hash.add(origin.remote(receive.edge) | origin.remote(receive.acknowledged) &<< 32)
        hash.add(
            UInt64(receive.scale) | UInt64(receive.duplicates) &<< 8 | UInt64(receive.segmentSize) &<< 16
                | (flags.contains(.urgent) ? origin.remote(receive.urgent) : 0) &<< 32)
    }

    private func addPath(_ hash: inout Fingerprint, _ origin: Fingerprint.Origin) {
        hash.add(UInt64(path.size) | UInt64(path.proven) &<< 16 | UInt64(path.reported) &<< 32)
        hash.add(path.mayFragment)
        hash.add(path.awaitsProof)
        hash.add(path.searches)
        hash.add(path.triesTop)
        hash.add(path.topIsOpen)
        hash.add(
            UInt64(path.searchHigh) | UInt64(path.probeSize) &<< 16 | UInt64(path.failures) &<< 32
                | UInt64(path.timeouts) &<< 40)
        if path.probeSize > 0 { hash.add(origin.local(path.probeEnd)) }
        if path.reported > 0 { hash.add(origin.local(path.reportedAbout)) }
        if path.awaitsProof { hash.add(origin.local(path.proofEnd)) }
        if path.size != .max { hash.add(deadline: path.searchAt, origin.now) }
    }

    private func addLoss(_ hash: inout Fingerprint, _ origin: Fingerprint.Origin) {
        hash.add(
            UInt64(duplicateAcknowledgments)
                | UInt64(duplicateAcknowledgments > 0 ? flightAtDuplicate : 0) &<< 32)
        hash.add(origin.local(smallEnd) | UInt64(congestionControl.rawValue) &<< 32)
        hash.add(UInt64(pacingLimit))
        transmissions.fingerprint(into: &hash, origin)
        recovery.fingerprint(into: &hash, origin)
        rack.fingerprint(into: &hash, origin)
        hash.add(
            UInt64(ecn.wanted.rawValue) | UInt64(ecn.feedback.rawValue) &<< 8 | UInt64(ecn.marks.rawValue) &<< 16
                | (ecn.marks.contains(.answered) ? origin.local(ecn.point) : 0) &<< 32)
        hash.add(
            UInt64(ecn.received) | UInt64(ecn.told) &<< 8 | UInt64(ecn.known) &<< 16 | UInt64(ecn.thinning) &<< 24
                | UInt64(ecn.arrivedAs.rawValue) &<< 32)
        hash.add(markedOctets != nil)
        markedOctets?.fingerprint(into: &hash)
    }

    private func addTimes(_ hash: inout Fingerprint, _ origin: Fingerprint.Origin, _ context: borrowing Context) {
        let now = origin.now
        hash.add(deadline: retransmitAt, now)
        hash.add(deadline: acknowledgeAt, now)
        hash.add(deadline: orphanAt, now)
        hash.add(deadline: lossAt, now)
        // Pacing that has let go says nothing until the next sending, which counts what was not used.
        hash.add(UInt64(bitPattern: max(paceAt.nanoseconds &- now.nanoseconds, -1_000_000_000)))
        if flags.contains(.timestamps) {
            hash.add(UInt64(recentTimestamp &- origin.clock))
            hash.add(Int((now.nanoseconds &- recentTimestampAt.nanoseconds) / 86_400_000_000_000))
        }
        hash.add(UInt64(timestampOffset))
        // A closed window leaves it as it is when the program next writes.
        if isWaitingForPeer || send.window == 0 { hash.add(past: max(progressAt, unansweredAt), now) }
        if send.window == 0 { hash.add(past: progressAt, now) }
        if flags.contains(.keepAlive) { hash.add(past: heardAt, now) }
        hash.add(past: sentAt, now)
        if sentAt >= now { hash.add(origin.local(sentEnd)) }
        hash.add(UInt64(usedWindow))
        if windowFilledAt != 0 { hash.add(UInt64(Connection.clock(context) &- windowFilledAt)) }
        addSpace(&hash, origin)
        let second = UInt32(truncatingIfNeeded: now.nanoseconds / 1_000_000_000)
        hash.add(second == challengeSecond ? Int(challengeLimit(in: second)) &- Int(challengesLeft) : 0)
    }

    private func addSpace(_ hash: inout Fingerprint, _ origin: Fingerprint.Origin) {
        guard flags.contains(.measuresSpace) else { return }
        hash.add(UInt64(space.roundTrip) | UInt64(space.lastRead) &<< 32)
        hash.add(UInt64(space.least) | origin.remote(space.edge) &<< 32)
        hash.add(origin.remote(space.readTo))
        let now = UInt32(truncatingIfNeeded: origin.now.nanoseconds / 1000)
        hash.add(UInt64(now &- space.startedAt) | UInt64(now &- space.edgeAt) &<< 32)
    }

    private func addSettings(_ hash: inout Fingerprint) {
        hash.add(UInt64(userTimeout) | UInt64(keepAliveIdle) &<< 32)
        hash.add(UInt64(space.limit) | UInt64(quickAcknowledgments) &<< 32)
        hash.add(
            UInt64(keepAliveInterval) | UInt64(keepAliveLimit) &<< 32 | UInt64(keepAliveProbes) &<< 40
                | UInt64(differentiatedServices) &<< 48 | UInt64(hopLimit) &<< 56)
    }
}

extension ByteQueue {
    /// Adds octets that were placed in the queue, past its end too.
    fileprivate func fingerprint(
        into hash: inout Fingerprint, from offset: Int, count: Int, _ pool: borrowing BlockPool
    ) {
        hash.add(count)
        let start = Int(headOffset) &+ offset
        for position in start..<start &+ count {
            let slot = (Int(first) &+ position / BlockPool.blockSize) & (ring.count &- 1)
            hash.add(UInt64(pool.octet(ring[slot], at: position % BlockPool.blockSize)))
        }
    }
}

extension SequenceRanges {
    fileprivate func fingerprint(into hash: inout Fingerprint, _ code: (SequenceNumber) -> UInt64) {
        hash.add(count)
        for range in ranges { hash.add(code(range.start) | code(range.end) &<< 32) }
    }
}

extension Transmissions {
    fileprivate func fingerprint(into hash: inout Fingerprint, _ origin: Fingerprint.Origin) {
        hash.add(UInt64(count) | origin.local(start) &<< 32)
        for index in 0..<count {
            let record = self[index]
            hash.add(
                origin.local(record.end) | (record.isSacked ? 1 &<< 32 : 0) | (record.isLost ? 1 &<< 33 : 0)
                    | (record.isRetransmission ? 1 &<< 34 : 0))
            if !record.isSacked { hash.add(past: record.sentAt, origin.now) }
        }
    }
}

extension Reassembly {
    fileprivate func fingerprint(into hash: inout Fingerprint, _ origin: Fingerprint.Origin) {
        ranges.fingerprint(into: &hash) { origin.remote($0) }
        hash.add(fin.map { origin.remote($0) } ?? .max)
        hash.add(
            duplicate.map { origin.remote($0.start) | origin.remote($0.end) &<< 32 } ?? .max)
        hash.add(recentCount)
        hash.add(limit)
        for index in 0..<recentCount { hash.add(origin.remote(recent[index])) }
    }
}

extension RTTEstimator {
    fileprivate func fingerprint(into hash: inout Fingerprint) {
        hash.add(UInt64(bitPattern: smoothed))
        hash.add(UInt64(bitPattern: variation))
        hash.add(UInt64(backoff) | (synWasLost ? 256 : 0) | UInt64(expirations) &<< 16)
    }
}

extension NewReno {
    func fingerprint(into hash: inout Fingerprint, _ origin: Fingerprint.Origin) {
        hash.add(UInt64(window) | UInt64(threshold) &<< 32)
        hash.add(UInt64(acknowledged) | UInt64(reducedWindow) &<< 32)
        hyStart.fingerprint(into: &hash, origin)
    }
}

extension Cubic {
    func fingerprint(into hash: inout Fingerprint, _ origin: Fingerprint.Origin) {
        hash.add(UInt64(window) | UInt64(threshold) &<< 32)
        hash.add(UInt64(maximum) | UInt64(prior) &<< 32)
        hash.add(UInt64(reducedWindow) | (isInEpoch ? 1 &<< 63 : 0))
        hyStart.fingerprint(into: &hash, origin)
        guard isInEpoch else { return }
        hash.add(UInt64(period) | UInt64(estimate) &<< 32)
        hash.add(UInt64(remainder))
        hash.add(estimateRemainder)
        hash.add(UInt64(bitPattern: elapsed))
        hash.add(past: updatedAt, origin.now)
    }
}

extension HyStart {
    func fingerprint(into hash: inout Fingerprint, _ origin: Fingerprint.Origin) {
        hash.add(UInt64(phase.rawValue))
        guard phase == .slowStart || phase == .conservative else { return }
        hash.add(UInt64(samples) | UInt64(phase == .conservative ? rounds : 0) &<< 8 | origin.local(windowEnd) &<< 32)
        hash.add(UInt64(lastMinimum) | UInt64(currentMinimum) &<< 32)
        hash.add(UInt64(baseline))
    }
}

// What a checker asks of a connection.
extension Connection {
    /// Whether a SYN, octets or a FIN are to be sent, or to be acknowledged.
    package var isOutstanding: Bool {
        switch state {
        case .closed, .listen, .timeWait: false
        case .synSent, .synReceived: true
        default: inFlight > 0 || unsent > 0 || isFinDue
        }
    }
}

extension RTTEstimator {
    /// Nanoseconds between two ticks of the timing wheel.
    package static var tick: Int64 { granularity }
}
