import TCPEngine
package import TCPWire

// What must hold of a stack between any two calls, whatever came off the wire. For tests and fuzzers: its cost grows with
// the number of connections.
extension Stack {
    /// The rule that is broken, if one is.
    package func audit() -> StaticString? {
        auditMemory() ?? auditConnections() ?? auditEntries() ?? auditIndexes() ?? auditLists()
    }

    /// ISS and IRS of a connection; `nil` for a stale handle. IRS is zero in SYN-SENT.
    package func initialSequences(of id: ConnectionID) -> (send: SequenceNumber, receive: SequenceNumber)? {
        guard let slot = slot(id) else { return nil }
        return (
            tables.connections[slot].connection.send.initial, tables.connections[slot].connection.receive.initial
        )
    }

    private func auditMemory() -> StaticString? {
        if context.budget.used != memory.total { return "the budget and the report of memory differ" }
        if context.budget.used > context.budget.limit { return "the budget is exceeded" }
        var fragmentBlocks = 0
        var indexes = 0
        var datagram = fragments.datagrams.next(from: 0)
        while let index = datagram {
            fragmentBlocks &+= fragments.datagrams[index].queue.heldBlocks
            indexes &+= fragments.datagrams[index].queue.indexBytes
            datagram = fragments.datagrams.next(from: index &+ 1)
        }
        if fragmentBlocks &* BlockPool.blockSize != fragments.blockBytes { return "blocks of fragments are miscounted" }
        if fragments.datagrams.count > 0, fragments.deadline == .distantFuture {
            return "fragments have a deadline nobody knows"
        }
        var blocks = fragmentBlocks
        for link in 0..<interfaceCount {
            for kind in 0..<2 {
                blocks &+= interfaces[link].messages[kind].octets.heldBlocks
                indexes &+= interfaces[link].messages[kind].octets.indexBytes
            }
        }
        var socket = udp.sockets.next(from: 0)
        while let index = socket {
            blocks &+= udp.sockets[index].received.octets.heldBlocks
            indexes &+= udp.sockets[index].received.octets.indexBytes
            socket = udp.sockets.next(from: index &+ 1)
        }
        var recovery = 0
        var senders = 0
        var slot = tables.connections.next(from: 0)
        while let index = slot {
            blocks &+= tables.connections[index].connection.sendQueue.heldBlocks
            blocks &+= tables.connections[index].connection.receiveQueue.heldBlocks
            indexes &+= tables.connections[index].connection.sendQueue.indexBytes
            indexes &+= tables.connections[index].connection.receiveQueue.indexBytes
            recovery &+= tables.connections[index].connection.senderCost
            if tables.connections[index].connection.hasSender { senders &+= 1 }
            recovery &+= tables.connections[index].connection.reassembly?.cost ?? 0
            recovery &+= tables.connections[index].connection.markedOctetsCost
            slot = tables.connections.next(from: index &+ 1)
        }
        if blocks != context.pool.usedBlocks { return "blocks are in use that no queue holds" }
        if indexes != context.pool.indexBytes { return "indexes are charged that no queue has" }
        if senders != context.senders.count { return "a sender is held by no connection" }
        if !context.senders.isNonePristine { return "what stands for the sender of none was written to" }
        if recovery != context.recoveryBytes { return "recovery state is charged that nothing holds" }
        return nil
    }

    private func auditConnections() -> StaticString? {
        if !context.moves.isEmpty || context.bareReset != nil || context.fastOpenOffer != nil
            || context.fastOpenOutcome != nil
        {
            return "a connection's moves, reset or Fast Open were not seen to"
        }
        if let fault = auditPending() { return fault }
        var slot = tables.connections.next(from: 0)
        while let index = slot {
            if let fault = auditConnection(index) { return fault }
            slot = tables.connections.next(from: index &+ 1)
        }
        return nil
    }

    private func auditConnection(_ slot: UInt32) -> StaticString? {
        if let fault = tables.connections[slot].connection.audit(context) { return fault }
        let state = tables.connections[slot].connection.state
        let marks = tables.connections[slot].marks
        let isOver = state == .closed || state == .timeWait
        if isOver == marks.contains(.inTable) { return "the flow table holds the connections that are not over" }
        if isOver, tables.connections[slot].connection.isReleased { return "an ended connection was not forgotten" }
        if isOver { return tables.connections[slot].timer.isOn ? "an ended connection has a timer" : nil }
        let deadline = tables.connections[slot].connection.nextDeadline(context)
        if deadline != .distantFuture, !tables.connections[slot].timer.isOn {
            return "a connection has a deadline the wheel does not know"
        }
        if tables.connections[slot].connection.mayTransmit(context), !marks.contains(.inTransmitList),
            deadline == .distantFuture
        {
            return "a connection with something to send is neither asked nor has a timer"
        }
        return nil
    }

    private func auditEntries() -> StaticString? {
        var halfOpen = 0
        var slot = tables.entries.next(from: 0)
        while let index = slot {
            if !tables.entries[index].timer.isOn { return "a small entry has no timer" }
            if !tables.entries[index].info.contains(.timeWait) {
                halfOpen &+= 1
                let listener = Int(tables.entries[index].listener)
                guard listener < listeners.count, listeners[listener].isOpen else {
                    return "a half-open entry has no listener"
                }
            }
            slot = tables.entries.next(from: index &+ 1)
        }
        var counted = 0
        for listener in listeners { counted &+= listener.halfOpen }
        if halfOpen != halfOpenCount || halfOpen != counted { return "half-open entries are miscounted" }
        return nil
    }

    /// The flow table and the wheel know what there is, and nothing else.
    private func auditIndexes() -> StaticString? {
        var flows = 0
        var timers = 0
        var slot = tables.connections.next(from: 0)
        while let index = slot {
            if tables.connections[index].timer.isOn { timers &+= 1 }
            if tables.connections[index].marks.contains(.inTable) {
                flows &+= 1
                if !isFound(.connection(index)) { return "the flow table does not find a connection" }
            }
            slot = tables.connections.next(from: index &+ 1)
        }
        slot = tables.entries.next(from: 0)
        while let index = slot {
            if tables.entries[index].timer.isOn { timers &+= 1 }
            flows &+= 1
            if !isFound(.entry(index)) { return "the flow table does not find a small entry" }
            slot = tables.entries.next(from: index &+ 1)
        }
        if flows != flowTable.count { return "the flow table counts what is not there" }
        if timers != wheel.count &+ timeWaits.count { return "the wheel and the list count timers that are not there" }
        return nil
    }

    private func isFound(_ id: FlowID) -> Bool {
        let key = tables.key(of: id)
        return flowTable.find(key, hash: key.hash(secret), tables) == id
    }
}
