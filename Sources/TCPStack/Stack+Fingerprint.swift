package import TCPEngine
import TCPWire

// The whole state of a stack as one hash: every field that what it does later can depend on. A test holds this file
// against the stored fields, so that none is forgotten.
//
// Left out, because nothing the network or the program can see follows from them:
// - `configuration` and `secret`: the same in all stacks that are compared.
// - `flowTable`, `halfOpenCount`, `sources`, `orphans`, `timeWaits`: they follow from the records and entries, but for an
//   order that decides nothing while there is room.
// - `wheel` and the `timer` of a connection: a timer of the wheel may fire early, and its owner then sets it anew; what counts
//   is the owner's deadline. An entry's timer is hashed, because it is the deadline.
// - `counts`, `changes`, `changesHead`: what was counted or recorded.
// - `nextGeneration`, a record's `generation` and `listener.generation`: handles.
// - `trimAt`, the pool, the budget, `toldLevel`: they decide nothing while there is room. `audit` holds them to what is
//   hashed.
// - `fragments`: none is on its way between stacks that are compared; the number of datagrams is hashed all the same.
// - `identifications`: nobody looks at what fragments are known by.
// - `routes`, and of the interfaces what is configured: the same in all stacks that are compared.
// - `udp`, `errorLimit`, `paths`: no datagrams are on their way between them.
// - `linkBytes`: no stack that is compared has an Ethernet link below it.
// - `waitingForMemory`, `waitingForShare`, a record's `waiting`: empty while there is room; whether it is is hashed all the same.
// - `fastOpenKeys`, `fastOpenCookies`, and a record's `listener`: no stack that is compared uses Fast Open.
// - `listener.tally`, `listener.cookieCount`: what was counted; no cookies are sent while there is room.
extension Stack {
    package func fingerprint(into hash: inout Fingerprint, _ origin: Fingerprint.Origin) {
        for address in addresses {
            hash.add(address.prefix.address.high)
            hash.add(address.prefix.address.low)
            hash.add(
                UInt64(address.isActive ? 1 : 0) | UInt64(address.isDeprecated ? 2 : 0) | UInt64(
                    address.interface.index) &<< 2)
        }
        addListeners(&hash)
        var slot = tables.connections.next(from: 0)
        while let index = slot {
            addRecord(index, &hash, origin)
            slot = tables.connections.next(from: index &+ 1)
        }
        hash.add(tables.connections.count)
        slot = tables.entries.next(from: 0)
        while let index = slot {
            addEntry(index, &hash, origin)
            slot = tables.entries.next(from: index &+ 1)
        }
        hash.add(tables.entries.count)
        addLists(&hash, origin)
        for index in portCounters.indices { hash.add(UInt64(portCounters[index])) }
    }

    private func addListeners(_ hash: inout Fingerprint) {
        for listener in listeners {
            hash.add(
                UInt64(listener.port) | UInt64(listener.isOpen ? 1 : 0) &<< 16
                    | UInt64(listener.isReported ? 1 : 0) &<< 17)
            if let address = listener.address {
                hash.add(address.high)
                hash.add(address.low)
            }
            hash.add(listener.backlog)
            hash.add(UInt64(listener.families.rawValue) | UInt64(listener.windowScale) &<< 8)
            hash.add(listener.synWindow)
            hash.add(listener.halfOpen)
            hash.add(listener.waiting)
            hash.add(listener.isAnnounced)
            hash.add(listener.fastOpen.count)
            for index in 0..<listener.queue.count { hash.add(UInt64(listener.queue[index])) }
            addOptions(listener.options, &hash)
        }
        hash.add(listeners.count)
    }

    private func addOptions(_ options: ConnectionOptions, _ hash: inout Fingerprint) {
        hash.add(options.noDelay)
        hash.add(Int(options.keepAliveIdle?.nanoseconds ?? -1))
        hash.add(Int(options.keepAliveInterval.nanoseconds))
        hash.add(options.keepAliveProbes)
        hash.add(Int(options.userTimeout?.nanoseconds ?? -1))
        hash.add(UInt64(options.differentiatedServices) | UInt64(options.hopLimit ?? 0) &<< 8)
        hash.add(options.corks)
        hash.add(options.maximumSegmentSize ?? -1)
        hash.add(options.quickAcknowledgments ?? -1)
        hash.add(options.receiveBuffer ?? -1)
        hash.add(options.congestionControl.map { Int($0.rawValue) } ?? -1)
        hash.add(options.maximumPacingRate ?? -1)
        hash.add(Int(options.explicitCongestionNotification?.rawValue ?? .max))
        hash.add(options.fastOpen.map { $0 ? 1 : 0 } ?? -1)
        hash.add(options.fastOpenPending ?? -1)
    }

    private func addRecord(_ index: UInt32, _ hash: inout Fingerprint, _ origin: Fingerprint.Origin) {
        addKey(tables.connections[index].key, &hash)
        hash.add(UInt64(tables.connections[index].marks.rawValue))
        tables.connections[index].connection.fingerprint(into: &hash, origin, context)
    }

    private func addEntry(_ index: UInt32, _ hash: inout Fingerprint, _ origin: Fingerprint.Origin) {
        addKey(tables.entries[index].key, &hash)
        var info = tables.entries[index].info
        // What was used of another second's answers counts for nothing.
        let second = UInt8(origin.now.nanoseconds / 1_000_000_000 & 1) &<< 2
        if info.challenges & 4 != second { info.challenges = 0 }
        info.challenges &= 3
        hash.add(UInt64(info.rawValue) | UInt64(tables.entries[index].segmentSize) &<< 16)
        hash.add(
            origin.local(tables.entries[index].send)
                | origin.remote(tables.entries[index].receive) &<< 32)
        let timestamp = info.contains(.timestamps) ? tables.entries[index].timestamp &- origin.clock : 0
        hash.add(
            UInt64(timestamp) | UInt64(tables.entries[index].shared) &<< 32)
        // Not as a deadline alone: a half-open entry tells by it when its SYN-ACK was sent.
        hash.add(past: wheel.due(tables.entries[index].timer) ?? .distantFuture, origin.now)
    }

    private func addKey(_ key: FlowKey, _ hash: inout Fingerprint) {
        hash.add(key.remote.high)
        hash.add(key.remote.low)
        hash.add(UInt64(key.remotePort) | UInt64(key.localPort) &<< 16 | UInt64(key.local) &<< 32)
    }

    /// What waits for the link or the program, in its order.
    private func addLists(_ hash: inout Fingerprint, _ origin: Fingerprint.Origin) {
        var slot = ready.head
        while slot != .max {
            hash.add(UInt64(slot))
            slot = tables.connections[slot].ready.next
        }
        hash.add(UInt64.max)
        for link in 0..<interfaceCount {
            slot = interfaces[link].transmitting.head
            while slot != .max {
                hash.add(UInt64(slot))
                slot = tables.connections[slot].transmit.next
            }
            hash.add(UInt64.max)
            hash.add(interfaces[link].messages[0].octets.count)
            interfaces[link].control.fingerprint(into: &hash, origin)
        }
        for listener in acceptable { hash.add(UInt64(listener.slot)) }
        hash.add(acceptable.count)
        hash.add(waitingForMemory.isEmpty && waitingForShare.isEmpty)
        hash.add(fragments.datagrams.count)
        if let sequence = context.bareReset { hash.add(origin.local(sequence)) }
    }
}

extension ControlQueue {
    fileprivate func fingerprint(into hash: inout Fingerprint, _ origin: Fingerprint.Origin) {
        for index in 0..<packets.count {
            let packet = packets[index]
            hash.add(
                UInt64(packet.kind.rawValue) | UInt64(packet.hasAcknowledgment ? 256 : 0)
                    | UInt64(packet.entry) &<< 32)
            hash.add(origin.local(packet.sequence) | origin.remote(packet.acknowledgment) &<< 32)
            hash.add(UInt64(packet.trafficClass) | UInt64(packet.hopLimit) &<< 8)
            hash.add(UInt64(packet.key.remotePort) | UInt64(packet.key.localPort) &<< 16)
            if let timestamps = packet.timestamps {
                hash.add(UInt64(timestamps.value &- origin.clock) | UInt64(timestamps.echo &- origin.clock) &<< 32)
            }
        }
        hash.add(packets.count)
    }
}
