import TCPWire

// The segment text and the FIN (RFC 9293 §3.10.7.4, seventh and eighth).
extension Connection {
    /// Takes the octets of an acceptable segment: what is new, and lies in the window.
    mutating func processText(
        _ sequence: SequenceNumber, _ payload: RawSpan, hasFin: Bool, segments: Int, _ context: inout Context
    ) {
        guard isReceiving else {
            // CLOSE-WAIT and later: the peer has said that it has no more (U-40). A FIN sent again is acknowledged.
            if hasFin || payload.byteCount > 0 { flags.insert(.acknowledgeNow) }
            return
        }
        var start = 0
        var end = payload.byteCount
        var hasFin = hasFin
        let old = receive.next.distance(from: sequence)
        if old > 0 {
            // Only the new part of a segment that straddles the edge counts (U-27).
            start = min(old, end)
            if flags.contains(.sack), start > 0 {
                makeReassembly(&context)?.duplicate = SACKBlock(start: sequence, end: receive.next)
            }
            flags.insert(.acknowledgeNow)
        }
        var room = receive.edge.distance(from: sequence)
        if context.held >= context.budget.marks.holding {
            // Windows were promised while there was memory; where it is short a queue takes no more than its share.
            let share = (receive.next + min(arrivalRoom(context), 1 &<< 30)).distance(from: sequence)
            if share < min(room, end) {
                context.refusedSegments &+= 1
                room = share
            }
        }
        if end > room {
            end = max(room, start)
            hasFin = false
            flags.insert(.acknowledgeNow)
        }
        if flags.contains(.released), end > start {
            // RFC 9293 SHLD-3: data nobody will read means that it is lost, and the peer must know.
            context.bareReset = send.next
            fail(.aborted, &context)
            return
        }
        let position = sequence + start
        let text = payload.extracting(start..<end)
        if position == receive.next {
            receiveInOrder(text, hasFin: hasFin, segments: segments, &context)
        } else {
            receiveOutOfOrder(text, at: position, hasFin: hasFin, &context)
        }
    }

    private mutating func receiveInOrder(_ text: RawSpan, hasFin: Bool, segments: Int, _ context: inout Context) {
        let hadGap = reassembly.map { !$0.ranges.isEmpty || $0.fin != nil } ?? false
        var hasFin = hasFin
        if text.byteCount > 0 {
            // RFC 2883 §4.2, where the part that is new closes the gap.
            if flags.contains(.sack), let reassembly, reassembly.duplicate == nil {
                reassembly.duplicate = reassembly.ranges.firstPart(
                    from: receive.next, to: receive.next + text.byteCount)
            }
            if !appendGaps(text, &context) { hasFin = false }
            noteSize(text.byteCount, segments: segments)
        }
        if hadGap { closeGap(&context) }
        if !hasFin, let fin = reassembly?.fin, fin == receive.next { hasFin = true }
        if hasFin {
            receiveFin(&context)
            return
        }
        scheduleAcknowledgment(fillsGap: hadGap, &context)
    }

    /// Takes the octets of `text`, which begins at RCV.NXT; those that came earlier stay as they are. Says whether there
    /// was room for all.
    private mutating func appendGaps(_ text: RawSpan, _ context: inout Context) -> Bool {
        let end = receive.next + text.byteCount
        while receive.next < end {
            let start = text.byteCount &- end.distance(from: receive.next)
            let gap = reassembly?.ranges.first.map { $0.start.distance(from: receive.next) } ?? text.byteCount
            let count = min(gap, text.byteCount &- start)
            let stored = receiveQueue.append(
                text.extracting(start..<start &+ count), keeping: context.keptFromArrivals, &context.pool,
                &context.budget)
            receive.next += stored
            if stored > 0 { changes.insert(.readable) }
            if stored < count { return false }
            if receive.next < end { closeGap(&context) }
        }
        return true
    }

    /// Octets that came earlier and now follow without a gap.
    private mutating func closeGap(_ context: inout Context) {
        guard let reassembly else { return }
        if let first = reassembly.ranges.first, first.start <= receive.next {
            let covered = first.end.distance(from: receive.next)
            if covered > 0 {
                receiveQueue.extend(by: covered)
                receive.next = first.end
                changes.insert(.readable)
            }
            reassembly.ranges.remove(before: receive.next)
        }
    }

    private mutating func receiveOutOfOrder(
        _ text: RawSpan, at position: SequenceNumber, hasFin: Bool, _ context: inout Context
    ) {
        // RFC 5681 §4.2: each segment past a gap is answered at once.
        if receive.duplicates < 64 { receive.duplicates &+= 1 }
        // A sender of much that repairs a loss has a small window, and waits for each acknowledgment.
        if text.byteCount >= 512 { quickAcknowledgments = max(quickAcknowledgments, 16) }
        guard let reassembly = makeReassembly(&context) else { return }
        let offset = receiveQueue.count &+ position.distance(from: receive.next)
        var end = position + text.byteCount
        let known = reassembly.ranges.range(holding: position)
        if let known, end <= known.end, text.byteCount > 0 {
            // RFC 2883 §4.2: a duplicate inside what is held already. The octets that came first stay.
            if flags.contains(.sack) { reassembly.duplicate = SACKBlock(start: position, end: end) }
            reassembly.note(position)
        } else if text.byteCount > 0 {
            // No more ranges than the window has full segments, and a few for small ones.
            let most = max(256, receiveLimit(context) / Int(linkSegmentSize))
            reassembly.makeRoom(most: most, &context)
            guard reassembly.ranges.count < reassembly.limit || known != nil else { return }
            // RFC 2883 §4.2: of a segment held in part the first such part is reported.
            if flags.contains(.sack), let part = reassembly.ranges.firstPart(from: position, to: end) {
                reassembly.duplicate = part
            }
            // Where a range begins inside this segment the octets that came first stay as well: only gaps are written.
            end = position + placeGaps(text, at: position, offset: offset, reassembly, &context)
            reassembly.ranges.insert(SACKBlock(start: position, end: end), limit: reassembly.limit)
            reassembly.note(position)
        }
        if hasFin, end == position + text.byteCount { reassembly.fin = end }
    }

    /// Stores the octets of `text` that are not held yet; says how many from its start are held afterwards.
    private mutating func placeGaps(
        _ text: RawSpan, at position: SequenceNumber, offset: Int, _ reassembly: Reassembly, _ context: inout Context
    ) -> Int {
        var done = 0
        while done < text.byteCount {
            let gap = reassembly.ranges.gap(from: position + done)
            let start = gap.start.distance(from: position)
            guard start < text.byteCount else { return text.byteCount }
            let end = min(text.byteCount, gap.end.map { $0.distance(from: position) } ?? text.byteCount)
            let stored = receiveQueue.place(
                text.extracting(start..<end), at: offset &+ start, keeping: context.keptFromArrivals, &context.pool,
                &context.budget)
            if stored < end &- start { return start &+ stored }
            done = end
        }
        return done
    }

    private mutating func noteSize(_ count: Int, segments: Int) {
        let size = min(count / max(segments, 1), Int(linkSegmentSize))
        if size > Int(receive.segmentSize) { receive.segmentSize = UInt16(size) }
    }

    /// RFC 9293 SHLD-18, SHLD-19 and RFC 5681 §4.2: an acknowledgment for every second full-sized segment, or for one and a
    /// good part of another, which a sender with a tail loss probe counts on (RFC 8985 §7.2); at once when a gap was filled, else
    /// after a short wait.
    private mutating func scheduleAcknowledgment(fillsGap: Bool, _ context: inout Context) {
        let owed = receive.next.distance(from: receive.acknowledged)
        if fillsGap || quickAcknowledgments > 0 && owed > 0
            || owed > Int(receive.segmentSize) &+ Int(receive.segmentSize) / 8
        {
            flags.insert(.acknowledgeNow)
        } else if acknowledgeAt == .distantFuture, owed > 0 {
            acknowledgeAt = context.now.advanced(byNanoseconds: context.parameters.delayedAcknowledgment)
        }
    }

    /// RFC 9293 §3.10.7.4, eighth: check the FIN bit. The FIN is acknowledged with the next segment: at once if there is
    /// nothing else to wait for, or together with ours.
    private mutating func receiveFin(_ context: inout Context) {
        receive.next += 1
        if let reassembly {
            reassembly.fin = nil
            reassembly.ranges.removeAll()
        }
        changes.insert(.endOfStream)
        flags.insert(.acknowledgeNow)
        switch state {
        case .established: move(to: .closeWait, &context)
        case .finWait1:
            // Our FIN was not acknowledged by this segment, or the state would be FIN-WAIT-2.
            move(to: .closing, &context)
        case .finWait2: move(to: .timeWait, &context)
        default: break
        }
    }
}
