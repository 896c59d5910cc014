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
// - `ring`, `first`, `blockCount` and `headOffset` of a queue: where octets lie. The octets themselves are hashed.
// - `byteCount` of ranges: the sum of their lengths.
extension Connection {
    package func fingerprint(into hash: inout Fingerprint, _ origin: Fingerprint.Origin, _ context: borrowing Context) {
        hash.add(
            UInt64(state.rawValue) | UInt64(error?.rawValue ?? .max) &<< 8 | UInt64(changes.rawValue) &<< 16
                | UInt64(flags.rawValue) &<< 32)
        addSend(&hash, origin)
        addReceive(&hash, origin)
        hash.add(UInt64(peerSegmentSize) | UInt64(linkSegmentSize) &<< 16)
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
        hash.add(UInt64(send.initial - origin.local) | UInt64(send.unacknowledged - origin.local) &<< 32)
        hash.add(UInt64(send.next - origin.local) | UInt64(send.window) &<< 32)
        hash.add(UInt64(send.maximumWindow) | UInt64(send.windowSequence - origin.remote) &<< 32)
        hash.add(UInt64(send.windowAcknowledgment - origin.local) | UInt64(send.scale) &<< 32)
    }

    private func addReceive(_ hash: inout Fingerprint, _ origin: Fingerprint.Origin) {
        // In SYN-SENT nothing of the peer's is known.
        guard state != .synSent else { return }
        hash.add(UInt64(receive.initial - origin.remote) | UInt64(receive.next - origin.remote) &<< 32)
        hash.add(UInt64(receive.edge - origin.remote) | UInt64(receive.acknowledged - origin.remote) &<< 32)
        hash.add(
            UInt64(receive.scale) | UInt64(receive.duplicates) &<< 8 | UInt64(receive.segmentSize) &<< 16
                | UInt64(flags.contains(.urgent) ? receive.urgent - origin.remote : 0) &<< 32)
    }

    private func addLoss(_ hash: inout Fingerprint, _ origin: Fingerprint.Origin) {
        hash.add(
            UInt64(duplicateAcknowledgments)
                | UInt64(duplicateAcknowledgments > 0 ? flightAtDuplicate : 0) &<< 32)
        hash.add(UInt64(recover - origin.local) | UInt64(smallEnd - origin.local) &<< 32)
    }

    private func addTimes(_ hash: inout Fingerprint, _ origin: Fingerprint.Origin, _ context: borrowing Context) {
        let now = origin.now
        hash.add(deadline: retransmitAt, now)
        hash.add(deadline: acknowledgeAt, now)
        hash.add(deadline: orphanAt, now)
        if flags.contains(.timing) {
            hash.add(UInt64(timedEnd - origin.local))
            hash.add(past: timedAt, now)
        }
        if flags.contains(.timestamps) {
            hash.add(UInt64(recentTimestamp &- origin.clock))
            hash.add(Int((now.nanoseconds &- recentTimestampAt.nanoseconds) / 86_400_000_000_000))
        }
        hash.add(UInt64(timestampOffset))
        // A closed window leaves it as it is when the program next writes.
        if isWaitingForPeer || send.window == 0 { hash.add(past: progressAt, now) }
        if flags.contains(.keepAlive) { hash.add(past: heardAt, now) }
        if congestion.window > NewReno(segmentSize: segmentSize, synWasLost: false).window {
            hash.add(past: sentAt, now)
        }
        let second = UInt32(truncatingIfNeeded: now.nanoseconds / 1_000_000_000)
        hash.add(second == challengeSecond ? Int(challengeLimit(in: second)) &- Int(challengesLeft) : 0)
    }

    private func addSettings(_ hash: inout Fingerprint) {
        hash.add(UInt64(userTimeout) | UInt64(keepAliveIdle) &<< 32)
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
    fileprivate func fingerprint(into hash: inout Fingerprint, _ origin: SequenceNumber) {
        hash.add(count)
        for range in ranges { hash.add(UInt64(range.start - origin) | UInt64(range.end - origin) &<< 32) }
    }
}

extension Recovery {
    fileprivate func fingerprint(into hash: inout Fingerprint, _ origin: Fingerprint.Origin) {
        hash.add(
            UInt64(phase.rawValue) | UInt64(rescued ? 1 : 0) &<< 8 | UInt64(timeouts) &<< 16
                | UInt64(point - origin.local) &<< 32)
        hash.add(UInt64(retransmitted - origin.local) | UInt64(lostBefore - origin.local) &<< 32)
        hash.add(inflations)
        if retransmittedAt.nanoseconds == .min / 2 {
            hash.add(UInt64.max)
        } else {
            hash.add(past: retransmittedAt, origin.now)
        }
        sacked.fingerprint(into: &hash, origin.local)
    }
}

extension Reassembly {
    fileprivate func fingerprint(into hash: inout Fingerprint, _ origin: Fingerprint.Origin) {
        ranges.fingerprint(into: &hash, origin.remote)
        hash.add(fin.map { UInt64($0 - origin.remote) } ?? .max)
        hash.add(
            duplicate.map { UInt64($0.start - origin.remote) | UInt64($0.end - origin.remote) &<< 32 } ?? .max)
        hash.add(recentCount)
        for index in 0..<recentCount { hash.add(UInt64(recent[index] - origin.remote)) }
    }
}

extension RTTEstimator {
    fileprivate func fingerprint(into hash: inout Fingerprint) {
        hash.add(UInt64(bitPattern: smoothed))
        hash.add(UInt64(bitPattern: variation))
        hash.add(UInt64(backoff) | (synWasLost ? 256 : 0))
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
