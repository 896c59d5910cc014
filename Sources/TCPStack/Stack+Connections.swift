import TCPEngine
import TCPWire

// What a connection's record goes through, whatever happened to the connection.
extension Stack {
    func makeConnection(
        _ key: FlowKey, state: State, initial: SequenceNumber, _ options: ConnectionOptions, windowScale: UInt8
    ) -> Connection {
        let isIPv4 = addresses[Int(key.local)].prefix.address.isIPv4
        var connection = Connection(
            state: state, initial: initial, linkSegmentSize: announcedSegmentSize(options, local: key.local),
            isIPv4: isIPv4,
            hopLimit: options.hopLimit ?? hopLimit(for: key), timestampOffset: timestampOffset(key), context)
        connection.congestionControl = options.congestionControl ?? configuration.congestionControl
        connection.apply(options, context)
        connection.receive.scale = windowScale
        connection.ecn.wanted = options.explicitCongestionNotification ?? context.parameters.explicitCongestion
        connection.quickAcknowledgments =
            options.quickAcknowledgments.map { UInt8(clamping: $0) } ?? context.parameters.quickAcknowledgments
        return connection
    }

    /// The window scale to offer: the least that can tell what a connection with these options may keep.
    func offeredScale(_ options: ConnectionOptions) -> UInt8 {
        guard configuration.windowScaling else { return 0 }
        guard configuration.windowScale == nil, let own = options.receiveBuffer else {
            return context.parameters.windowScale
        }
        return Parameters.windowScale(for: own)
    }

    /// The MSS to announce: what the link carries, or less if the program wants less.
    func announcedSegmentSize(_ options: ConnectionOptions, local: UInt16) -> Int {
        let link = linkSegmentSize(local: local)
        return min(link, max(options.maximumSegmentSize ?? link, 48))
    }

    /// The MSS to announce: the MTU less the fixed headers (RFC 9293 §3.7.1, MUST-67).
    func linkSegmentSize(local: UInt16) -> Int {
        let isIPv4 = addresses[Int(local)].prefix.address.isIPv4
        let mtu = interfaces[Int(addresses[Int(local)].interface.index)].mtu(isIPv4: isIPv4)
        return max(1, min(mtu, 65535) &- (isIPv4 ? 40 : 60))
    }

    /// Stores a connection; `nil` when the budget has no room.
    mutating func insertRecord(_ key: FlowKey, _ connection: consuming Connection) -> UInt32? {
        let generation = nextGeneration
        nextGeneration &+= 1
        return tables.connections.insert(
            ConnectionRecord(key: key, generation: generation, connection: connection),
            keeping: context.budget.marks.keptBack, &context.budget)
    }

    /// The slot of a handle that still names something.
    func slot(_ id: ConnectionID) -> UInt32? {
        guard tables.connections.contains(id.slot), tables.connections[id.slot].generation == id.generation else {
            return nil
        }
        return id.slot
    }

    /// Sees to what a connection left behind after anything was done to it: resets, a new state, events, timers, segments
    /// to send. Frees the record when neither the network nor the program needs it. `isBlocked` says that it has just been
    /// asked for a segment and had none.
    mutating func settle(_ slot: UInt32, isBlocked: Bool = false) {
        if !context.moves.isEmpty {
            let key = tables.connections[slot].key
            for move in context.moves { record(key, from: move.from, to: move.to) }
            context.moves.removeAll(keepingCapacity: true)
        }
        if let sequence = context.bareReset {
            context.bareReset = nil
            send(connectionReset(slot, sequence))
        }
        if let outcome = context.fastOpenOutcome { noteFastOpen(slot, outcome) }
        if tables.connections[slot].marks.contains(.pendingFastOpen) { settlePending(slot) }
        let state = tables.connections[slot].connection.state
        if state == .closed || state == .timeWait {
            settleEnded(slot, state)
            return
        }
        if !tables.connections[slot].connection.changes.isEmpty { makeReady(slot) }
        if !isBlocked, tables.connections[slot].connection.mayTransmit(context) { makeTransmit(slot) }
        let deadline = tables.connections[slot].connection.nextDeadline(context)
        if deadline != .distantFuture { wheel.schedule(.connection(slot), at: deadline, &tables) }
    }

    /// A reset that looks like the connection's other segments.
    func connectionReset(_ slot: UInt32, _ sequence: SequenceNumber) -> ControlPacket {
        var packet = ControlPacket(kind: .reset, key: tables.connections[slot].key, sequence: sequence)
        packet.hopLimit = tables.connections[slot].connection.hopLimit
        packet.trafficClass = tables.connections[slot].connection.differentiatedServices &<< 2
        packet.timestamps = tables.connections[slot].connection.resetTimestamps(context.now)
        return packet
    }

    /// RFC 9293 §3.10.5: <SEQ=SND.NXT><CTL=RST>. The acknowledgment helps a peer in SYN-SENT to believe it.
    func abortReset(_ slot: UInt32) -> ControlPacket {
        var packet = connectionReset(slot, tables.connections[slot].connection.send.next)
        packet.acknowledgment = tables.connections[slot].connection.receive.next
        packet.hasAcknowledgment = true
        return packet
    }

    private mutating func settleEnded(_ slot: UInt32, _ state: State) {
        if tables.connections[slot].marks.contains(.inTable) {
            if state == .timeWait {
                enterTimeWait(slot)
            } else {
                let hash = tables.connections[slot].key.hash(secret)
                flowTable.remove(.connection(slot), hash: hash, tables, secret, &context.budget)
                tables.connections[slot].marks.remove(.inTable)
                if tables.connections[slot].connection.failedFastOpen { avoidFastOpen(slot) }
            }
        }
        wheel.cancel(.connection(slot), &tables)
        if tables.connections[slot].connection.isReleased {
            free(slot)
        } else if !tables.connections[slot].connection.changes.isEmpty {
            makeReady(slot)
        }
    }

    /// Forgets a record; the lists skip it.
    private mutating func free(_ slot: UInt32) {
        let marks = tables.connections[slot].marks
        if marks.contains(.inReadyList) { removeFromReady(slot) }
        if marks.contains(.inOrphanList) { removeFromOrphans(slot) }
        stopWaiting(slot)
        if marks.contains(.inTransmitList) { removeFromTransmit(slot) }
        tables.connections[slot].connection.dispose(&context)
        tables.connections.remove(slot, &context.budget)
        if tables.connections.count == 0, context.pool.usedBytes == 0 { context.pool.trim(all: true, &context.budget) }
    }

    // MARK: Lists

    mutating func makeReady(_ slot: UInt32) {
        guard tables.connections[slot].marks.isDisjoint(with: .inReadyList),
            tables.connections[slot].marks.contains(.accepted)
        else { return }
        tables.connections[slot].marks.insert(.inReadyList)
        tables.connections[slot].ready = ListLinks(previous: ready.tail)
        if ready.tail == .max { ready.head = slot } else { tables.connections[ready.tail].ready.next = slot }
        ready.tail = slot
    }

    mutating func removeFromReady(_ slot: UInt32) {
        let links = tables.connections[slot].ready
        if links.previous == .max {
            ready.head = links.next
        } else {
            tables.connections[links.previous].ready.next = links.next
        }
        if links.next == .max {
            ready.tail = links.previous
        } else {
            tables.connections[links.next].ready.previous = links.previous
        }
        tables.connections[slot].marks.remove(.inReadyList)
    }

    mutating func makeTransmit(_ slot: UInt32) {
        guard !tables.connections[slot].marks.contains(.inTransmitList) else { return }
        tables.connections[slot].marks.insert(.inTransmitList)
        let link = interface(of: tables.connections[slot].key)
        let tail = interfaces[link].transmitting.tail
        tables.connections[slot].transmit = ListLinks(previous: tail)
        if tail == .max {
            interfaces[link].transmitting.head = slot
        } else {
            tables.connections[tail].transmit.next = slot
        }
        interfaces[link].transmitting.tail = slot
    }

    private mutating func removeFromTransmit(_ slot: UInt32) {
        let links = tables.connections[slot].transmit
        let link = interface(of: tables.connections[slot].key)
        if links.previous == .max {
            interfaces[link].transmitting.head = links.next
        } else {
            tables.connections[links.previous].transmit.next = links.next
        }
        if links.next == .max {
            interfaces[link].transmitting.tail = links.previous
        } else {
            tables.connections[links.next].transmit.previous = links.previous
        }
        tables.connections[slot].marks.remove(.inTransmitList)
    }

    mutating func popTransmit(_ link: Int) -> UInt32? {
        guard !interfaces[link].transmitting.isEmpty else { return nil }
        let slot = interfaces[link].transmitting.head
        removeFromTransmit(slot)
        return slot
    }

    /// Whether `nextEvent` is worth a call. Packets that come and go, and calls, can each bring events.
    public var hasEvents: Bool {
        !ready.isEmpty || !acceptable.isEmpty || !udp.ready.isEmpty || hasMemoryForWriters || memoryLevel != toldLevel
    }

    /// The next event; `nil` when there is none. Events of one connection that were not taken yet are one event.
    public mutating func nextEvent() -> StackEvent? {
        if let event = levelEvent() { return event }
        while let listener = acceptable.popLast() {
            guard let index = listenerIndex(listener) else { continue }
            listeners[index].isAnnounced = false
            if listeners[index].waiting > 0 { return .acceptable(listener) }
        }
        wakeWriter()
        guard !ready.isEmpty else { return nextDatagramEvent() }
        let slot = ready.head
        removeFromReady(slot)
        let bits = tables.connections[slot].connection.takeChanges()
        return .connection(
            ConnectionID(slot: slot, generation: tables.connections[slot].generation),
            Readiness(rawValue: bits.rawValue))
    }

    func listenerIndex(_ id: ListenerID) -> Int? {
        let index = Int(id.slot)
        guard index < listeners.count, listeners[index].isOpen, listeners[index].generation == id.generation else {
            return nil
        }
        return index
    }
}
