import TCPEngine
import TCPWire

// TIME-WAIT (RFC 9293 §3.6.1), as small entries.
extension Stack {
    /// Puts an entry in the place of a connection that has entered TIME-WAIT.
    mutating func enterTimeWait(_ slot: UInt32) {
        let key = tables.connections[slot].key
        let hash = key.hash(secret)
        var info: SmallEntry.Info = .timeWait
        if tables.connections[slot].connection.usesTimestamps { info.insert(.timestamps) }
        let entry = SmallEntry(
            key: key, info: info, send: tables.connections[slot].connection.send.next,
            receive: tables.connections[slot].connection.receive.next,
            timestamp: tables.connections[slot].connection.recentTimestamp, segmentSize: 0, shared: 0)
        tables.connections[slot].marks.remove(.inTable)
        if context.held >= context.budget.marks.ending { endOldestTimeWait() }
        guard let new = tables.entries.insert(entry, &context.budget) else {
            // Without room the old segments are left to RFC 5961 and fresh ISNs.
            flowTable.remove(.connection(slot), hash: hash, tables, secret, &context.budget)
            record(key, from: .timeWait, to: .closed)
            return
        }
        flowTable.replace(.connection(slot), with: .entry(new), hash: hash)
        restartTimeWait(new)
        if tables.connections[slot].connection.owesAcknowledgment { replyAcknowledgment(new) }
    }

    private mutating func restartTimeWait(_ slot: UInt32) {
        let wait = configuration.maximumSegmentLifetime.nanoseconds
        timeWaits.remove(slot, &tables)
        let end = context.now.advanced(byNanoseconds: wait).advanced(byNanoseconds: wait)
        timeWaits.append(slot, tick: wheel.tick(for: end), &tables)
    }

    /// When the oldest entry's time is over; `nil` when there is none.
    var timeWaitDeadline: Instant? { timeWaits.oldest.flatMap { wheel.due(tables.entries[$0].timer) } }

    /// Ends the entries whose 2 MSL have passed.
    mutating func expireTimeWaits() {
        while let deadline = timeWaitDeadline, deadline <= context.now { endOldestTimeWait() }
    }

    /// Ends the entry that has been in TIME-WAIT longest, whether its time is over or memory is wanted.
    mutating func endOldestTimeWait() {
        guard let slot = timeWaits.oldest else { return }
        let key = tables.entries[slot].key
        if wheel.due(tables.entries[slot].timer).map({ $0 > context.now }) ?? false { counts.timeWaitsCutShort &+= 1 }
        dropEntry(slot, key.hash(secret))
        record(key, from: .timeWait, to: .closed)
    }

    /// RFC 9293 §3.10.7.4 for TIME-WAIT, with RFC 6191's way for a new SYN.
    mutating func receiveInTimeWait(
        _ slot: UInt32, _ header: TCPHeader, _ payload: RawSpan, _ hash: UInt32
    ) throws(PacketFault) {
        let next = tables.entries[slot].receive
        let offset = header.sequence.distance(from: next)
        if header.flags.contains(.rst) {
            // RFC 5961 §3.2: only the exact number ends it.
            if offset == 0 {
                let key = tables.entries[slot].key
                dropEntry(slot, hash)
                record(key, from: .timeWait, to: .closed)
            } else if offset > 0, offset < synWindow {
                challenge(entry: slot)
            }
            return
        }
        if header.flags.contains(.syn) {
            if !header.flags.contains(.ack), reopens(slot, header),
                let listener = listener(for: tables.entries[slot].key)
            {
                let key = tables.entries[slot].key
                let minimum = tables.entries[slot].send
                dropEntry(slot, hash)
                record(key, from: .timeWait, to: .closed)
                try receiveSyn(header, payload, key, hash, listener: listener, minimumISN: minimum)
            } else {
                challenge(entry: slot)
            }
            return
        }
        // RFC 9293 §3.10.7.4, fifth: without ACK a segment in the window is dropped.
        if !header.flags.contains(.ack), offset >= 0, offset < synWindow { return }
        // RFC 5961 §5.2: what was never sent, or lies farther back than any window reaches, cannot be acknowledged.
        let distance = header.acknowledgment.distance(from: tables.entries[slot].send)
        if offset == 0, distance > 0 || distance < -(1 &<< 30) {
            challenge(entry: slot)
            return
        }
        let length = payload.byteCount &+ (header.flags.contains(.fin) ? 1 : 0)
        if header.flags.contains(.fin), header.sequence + length == next, !isOld(slot, header) {
            // The peer's FIN again: our last ACK was lost. It goes again, and 2 MSL start over.
            restartTimeWait(slot)
            replyAcknowledgment(slot)
        } else if length > 0 || offset != 0 {
            answerUnacceptable(slot, length: length)
        }
    }

    /// PAWS for an entry.
    private func isOld(_ slot: UInt32, _ header: TCPHeader) -> Bool {
        guard tables.entries[slot].info.contains(.timestamps), let timestamps = header.options.timestamps else {
            return false
        }
        return Int32(bitPattern: timestamps.value &- tables.entries[slot].timestamp) < 0
    }

    /// RFC 6191 §2: whether a SYN may open the connection anew out of TIME-WAIT.
    private func reopens(_ slot: UInt32, _ header: TCPHeader) -> Bool {
        // The last number seen is the FIN's, one before RCV.NXT.
        let isLater = header.sequence >= tables.entries[slot].receive
        let hasTimestamps = configuration.timestamps && header.options.timestamps != nil
        guard tables.entries[slot].info.contains(.timestamps) else { return hasTimestamps || isLater }
        guard hasTimestamps, let timestamps = header.options.timestamps else { return isLater }
        let difference = Int32(bitPattern: timestamps.value &- tables.entries[slot].timestamp)
        return difference > 0 || difference == 0 && isLater
    }
}
