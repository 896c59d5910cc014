import TCPWire

// The whole state of a connection as one hash: every field that what it does later can depend on. A test holds this file
// against the stored fields, so that none is forgotten.
//
// Left out, because nothing the network or the program can see follows from them:
// - `retransmittedSegments`: only counted.
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
            UInt64(state.rawValue) | UInt64(error?.rawValue ?? .max) &<< 8 | UInt64(changes.rawValue) &<< 16
                | UInt64(flags.rawValue) &<< 32)
        addSend(&hash, origin)
        addReceive(&hash, origin)
        hash.add(UInt64(peerSegmentSize) | UInt64(linkSegmentSize) &<< 16)
        addPath(&hash, origin)
        sendQueue.fingerprint(into: &hash, from: 0, count: sendQueue.count, context.pool)
        receiveQueue.fingerprint(into: &hash, from: 0, count: receiveQueue.count, context.pool)
        hash.add(UInt64(recovery == nil ? 0 : 1) | UInt64(reassembly == nil ? 0 : 2))
        recovery?.fingerprint(into: &hash, origin)
        if let reassembly {
            reassembly.fingerprint(into: &hash, origin)
            for range in reassembly.ranges.ranges {
                receiveQueue.fingerprint(
                    into: &hash, from: receiveQueue.count &+ range.start.distance(from: receive.next),
                    count: range.end.distance(from: range.start), context.pool)
            }
        }
        rtt.fingerprint(into: &hash)
        congestion.fingerprint(into: &hash)
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
        hash.add(origin.local(recover) | origin.local(smallEnd) &<< 32)
    }

    private func addTimes(_ hash: inout Fingerprint, _ origin: Fingerprint.Origin, _ context: borrowing Context) {
        let now = origin.now
        hash.add(deadline: retransmitAt, now)
        hash.add(deadline: acknowledgeAt, now)
        hash.add(deadline: orphanAt, now)
        if flags.contains(.timing) {
            hash.add(origin.local(timedEnd))
            hash.add(past: timedAt, now)
        }
        if flags.contains(.timestamps) {
            hash.add(UInt64(recentTimestamp &- origin.clock))
            hash.add(Int((now.nanoseconds &- recentTimestampAt.nanoseconds) / 86_400_000_000_000))
        }
        hash.add(UInt64(timestampOffset))
        // A closed window leaves it as it is when the program next writes.
        if isWaitingForPeer || send.window == 0 { hash.add(past: max(progressAt, unansweredAt), now) }
        if send.window == 0 { hash.add(past: progressAt, now) }
        if flags.contains(.keepAlive) { hash.add(past: heardAt, now) }
        if congestion.window > NewReno(segmentSize: segmentSize, synWasLost: false).window {
            hash.add(past: sentAt, now)
        }
        let second = UInt32(truncatingIfNeeded: now.nanoseconds / 1_000_000_000)
        hash.add(second == challengeSecond ? Int(challengeLimit(in: second)) &- Int(challengesLeft) : 0)
    }

    private func addSettings(_ hash: inout Fingerprint) {
        hash.add(UInt64(userTimeout) | UInt64(keepAliveIdle) &<< 32)
        hash.add(UInt64(receiveBuffer) | UInt64(quickAcknowledgments) &<< 32)
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

extension Recovery {
    fileprivate func fingerprint(into hash: inout Fingerprint, _ origin: Fingerprint.Origin) {
        hash.add(
            UInt64(phase.rawValue) | UInt64(rescued ? 1 : 0) &<< 8 | UInt64(timeouts) &<< 16
                | origin.local(point) &<< 32)
        hash.add(origin.local(retransmitted) | origin.local(lostBefore) &<< 32)
        hash.add(inflations)
        hash.add(limit)
        if retransmittedAt.nanoseconds == .min / 2 {
            hash.add(UInt64.max)
        } else {
            hash.add(past: retransmittedAt, origin.now)
        }
        sacked.fingerprint(into: &hash) { origin.local($0) }
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
    fileprivate func fingerprint(into hash: inout Fingerprint) {
        hash.add(UInt64(window) | UInt64(threshold) &<< 32)
        hash.add(UInt64(acknowledged))
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
