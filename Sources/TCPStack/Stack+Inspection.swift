package import TCPEngine
package import TCPWire

// What tools see of a stack that holds it to its own rules.

/// One connection, half-open or TIME-WAIT entry, as a checker sees it.
package struct FlowInspection: Sendable {
    package var state: State
    /// ISS; not known of a TIME-WAIT entry.
    package var initial: SequenceNumber?
    /// IRS, once the peer's SYN came.
    package var peerInitial: SequenceNumber?
    /// Whether this end holds the connection for open: its SYN is acknowledged, the peer's is known.
    package var isSynchronized: Bool
    /// A SYN, octets or a FIN to be sent or to be acknowledged.
    package var isOutstanding: Bool
    /// Whether a timer will see to what is outstanding.
    package var hasTimer: Bool
    /// Whether the program has let go.
    package var isReleased: Bool
    /// When its next timer is due, at a tick of the timing wheel.
    package var nextTimer: Instant?
}

extension Stack {
    /// Everything the flow table finds.
    package func inspect() -> [FlowInspection] {
        var result: [FlowInspection] = []
        var slot = tables.connections.next(from: 0)
        while let index = slot {
            if tables.connections[index].marks.contains(.inTable) { result.append(inspectConnection(index)) }
            slot = tables.connections.next(from: index &+ 1)
        }
        slot = tables.entries.next(from: 0)
        while let index = slot {
            result.append(inspectEntry(index))
            slot = tables.entries.next(from: index &+ 1)
        }
        return result
    }

    private func inspectConnection(_ index: UInt32) -> FlowInspection {
        let deadline = tables.connections[index].connection.nextDeadline(context)
        let tick = RTTEstimator.tick
        let due = (deadline.nanoseconds &+ tick &- 1) / tick &* tick
        return FlowInspection(
            state: tables.connections[index].connection.state,
            initial: tables.connections[index].connection.send.initial,
            peerInitial: tables.connections[index].connection.state == .synSent
                ? nil : tables.connections[index].connection.receive.initial,
            isSynchronized: tables.connections[index].connection.isSynAcknowledged,
            isOutstanding: tables.connections[index].connection.isOutstanding,
            hasTimer: tables.connections[index].connection.retransmitAt != .distantFuture,
            isReleased: tables.connections[index].connection.isReleased,
            nextTimer: deadline == .distantFuture ? nil : Instant(nanoseconds: due))
    }

    private func inspectEntry(_ index: UInt32) -> FlowInspection {
        let isTimeWait = tables.entries[index].info.contains(.timeWait)
        let due = wheel.due(tables.entries[index].timer)
        return FlowInspection(
            state: isTimeWait ? .timeWait : .synReceived,
            initial: isTimeWait ? nil : tables.entries[index].send,
            peerInitial: isTimeWait ? nil : tables.entries[index].receive, isSynchronized: false,
            isOutstanding: !isTimeWait, hasTimer: due != nil, isReleased: false, nextTimer: due)
    }

    /// The ISN a connection between these would begin with at `now`, from this host's first address.
    package func initialSequence(remote: Endpoint, localPort: UInt16, at now: Instant) -> SequenceNumber {
        initialSequence(
            FlowKey(remote: remote.address, remotePort: remote.port, local: 0, localPort: localPort), at: now)
    }

    /// How often the budget had no room.
    package var budgetRefusals: UInt64 { context.budget.refusals }
}
