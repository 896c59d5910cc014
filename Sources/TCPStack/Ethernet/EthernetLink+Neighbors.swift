import TCPEngine
import TCPWire

// Neighbors come, are found, are lost: the same for ARP and for neighbor discovery, which differ in what is sent
// (RFC 4861 §7.3; RFC 1122 §2.3.2.1 leaves it to the host how ARP's entries age, and unicast polls are one of its ways).
extension EthernetLink {
    /// A packet's next hop is not known: the packet waits, and the neighbor is asked for. Says whether there was memory.
    mutating func resolve(
        _ address: IPAddress, for packet: TransmittedPacket, _ frame: RawSpan, _ stack: inout Stack
    ) -> Bool {
        if let victim = table.victim(for: .resolving) { evict(victim, &stack) }
        guard let slot = table.insert(address, .resolving, &stack) else { return false }
        // The question has the packet's source.
        wait(for: slot, frame, packet, &stack)
        step(slot, &stack)
        schedule(table.deadline)
        return true
    }

    mutating func advanceNeighbors(_ stack: inout Stack) {
        guard table.deadline <= now else { return }
        var start: UInt32 = 0
        while let slot = table.nextDue(from: start, at: now) {
            step(slot, &stack)
            // Its next step is due later, except at the end of time.
            start = table.slots.contains(slot) && table[slot].deadline <= now ? slot &+ 1 : slot
        }
    }

    /// A neighbor's timer is due.
    private mutating func step(_ slot: UInt32, _ stack: inout Stack) {
        let isIPv4 = table[slot].address.isIPv4
        if table[slot].state == .delay {
            table[slot].state = .probe
            table[slot].attempts = 0
        }
        guard Int(table[slot].attempts) < configuration.solicitations else {
            fail(slot, &stack)
            return
        }
        let interval = isIPv4 ? configuration.solicitationInterval.nanoseconds : retransmissionTimer
        // RFC 4861 §7.2.2: the same time between all of them. ARP's requests back off.
        let backOff = isIPv4 && table[slot].state == .incomplete ? Int64(table[slot].attempts) : 0
        table[slot].attempts &+= 1
        table.schedule(slot, at: now.advanced(byNanoseconds: interval &<< min(backOff, 6)))
        solicit(slot, &stack)
    }

    /// Asks for a neighbor: everybody, or itself when its address is known.
    private mutating func solicit(_ slot: UInt32, _ stack: inout Stack) {
        let target = table[slot].address
        let hardware = table[slot].state == .incomplete ? nil : table[slot].hardware
        let source = sourceAddress(for: target, prompting: slot)
        if target.isIPv4 {
            request(target, from: source, to: hardware, &stack)
        } else {
            solicit(target, from: source, to: hardware, &stack)
        }
    }

    /// An address of this host for a question about `target`: the waiting packet's, if it is one (RFC 4861 §7.2.2), else
    /// one that the target finds on the link.
    private func sourceAddress(for target: IPAddress, prompting slot: UInt32) -> IPAddress? {
        var asked: IPAddress?
        if let frame = table[slot].waiting.last {
            let bytes = unsafe frame.octets.span.bytes
            asked =
                target.isIPv4
                ? IPAddress(ipv4: bytes.be32(EthernetHeader.length &+ 12)) : bytes.ipv6(EthernetHeader.length &+ 8)
        }
        var best: IPAddress?
        for record in records where record.isAssigned && record.prefix.address.isIPv4 == target.isIPv4 {
            if record.prefix.address == asked, !target.isIPv4 || record.prefix.contains(target) { return asked }
            if best == nil || record.prefix.contains(target) { best = record.prefix.address }
        }
        return best
    }

    // MARK: What is learnt

    /// A neighbor's address is known, or confirmed: what waited for it leaves.
    mutating func settle(_ slot: UInt32, _ hardware: MACAddress, isReachable: Bool, _ stack: inout Stack) {
        let wasIncomplete = table[slot].state == .incomplete
        table[slot].hardware = hardware
        if wasIncomplete {
            let kind: Neighbor.Class = isReachable ? .confirmed : .unconfirmed
            // The places of those that are known are others than of those that are asked for.
            if let victim = table.victim(for: kind) { evict(victim, &stack) }
            table.move(slot, to: kind)
        }
        if isReachable { confirm(slot) } else { table[slot].state = .stale }
        guard wasIncomplete else { return }
        var frames: [Frame] = []
        swap(&frames, &table[slot].waiting)
        if !frames.isEmpty { _ = use(slot) }
        for frame in frames { releaseWaiting(frame, to: hardware) }
    }

    /// A neighbor is reachable: it answered, or word came from above (RFC 4861 §7.3.1).
    mutating func confirm(_ slot: UInt32) {
        // RFC 4861 §6.3.2: between half and one and a half times the base.
        let base = table[slot].address.isIPv4 ? configuration.reachableTime.nanoseconds : reachableTime
        table[slot].state = .reachable
        table[slot].attempts = 0
        table[slot].deadline = now.advanced(byNanoseconds: random(from: base / 2, to: base &+ base / 2))
        table.move(slot, to: .confirmed)
    }

    /// Word from above: octets that went by way of the neighbor towards `source` have arrived (RFC 4861 §7.3.1).
    mutating func confirm(wayTo source: IPAddress, _ stack: borrowing Stack) {
        if source == confirmed, now < confirmedUntil { return }
        guard let hop = nextHop(to: source, stack), let slot = table.find(hop), table[slot].state != .incomplete else {
            return
        }
        confirm(slot)
        confirmed = source
        confirmedUntil = now.advanced(byNanoseconds: min(1_000_000_000, reachableTime / 4))
    }

    /// A neighbor made itself known in a message it sent (RFC 826, RFC 4861 §7.2.3). `nil` when there is no room.
    @discardableResult
    mutating func learn(_ address: IPAddress, _ hardware: MACAddress, _ stack: inout Stack) -> UInt32? {
        if let slot = table.find(address) {
            // RFC 4861 §7.2.3: a known neighbor that says what is known already changes nothing.
            if table[slot].state == .incomplete || table[slot].hardware != hardware {
                settle(slot, hardware, isReachable: false, &stack)
            }
            return slot
        }
        // Of what is not on the link nobody will want to know.
        guard address.isLinkLocal && !address.isIPv4 || nextHop(to: address, stack) == address else { return nil }
        guard table.hasRoomForUnconfirmed else {
            counts.count(.noMemory)
            return nil
        }
        if let victim = table.victim(for: .unconfirmed) { evict(victim, &stack) }
        guard let slot = table.insert(address, .unconfirmed, &stack) else {
            counts.count(.noMemory)
            return nil
        }
        table[slot].hardware = hardware
        table[slot].state = .stale
        return slot
    }

    // MARK: What is lost

    /// A neighbor did not answer.
    private mutating func fail(_ slot: UInt32, _ stack: inout Stack) {
        counts.neighborsFailed &+= 1
        let address = table[slot].address
        let dropped = dropWaiting(of: slot, reports: true, &stack)
        counts.packetsUnreachable &+= UInt64(dropped)
        table.remove(slot, &stack)
        if confirmed != .unspecifiedIPv6 { confirmedUntil = now }
        suspect(address, &stack)
    }

    /// A neighbor gives way to another.
    private mutating func evict(_ slot: UInt32, _ stack: inout Stack) {
        counts.neighborsEvicted &+= 1
        forget(slot, &stack)
    }

    /// Removes a neighbor with what waits for it.
    mutating func forget(_ slot: UInt32, _ stack: inout Stack) {
        let dropped = dropWaiting(of: slot, reports: false, &stack)
        counts.packetsEvicted &+= UInt64(dropped)
        table.remove(slot, &stack)
    }
}
