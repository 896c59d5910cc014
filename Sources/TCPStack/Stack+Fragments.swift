import TCPEngine
import TCPWire

// A fragment arrives: its datagram is taken like any packet when it is whole.
extension Stack {
    mutating func takeFragment(
        _ packet: RawSpan, _ header: IPHeader, _ fragment: IPFragment, _ local: UInt16
    ) throws(PacketFault) {
        counts.fragmentsReceived &+= 1
        expireFragments()
        try header.checkFragment(packet)
        let body = packet.extracting(header.headerLength..<header.totalLength)
        guard let slot = try fragments.take(body, header, fragment, local, &context, &counts) else { return }
        try takeWhole(slot)
    }

    /// The datagram becomes one packet, and goes the way of all packets: nobody vouches for its checksum.
    private mutating func takeWhole(_ slot: UInt32) throws(PacketFault) {
        let length = fragments.datagrams[slot].queue.count
        let interface = addresses[Int(fragments.datagrams[slot].key.local)].interface
        guard let header = fragments.datagrams[slot].header, let cost = reservePacket(40 &+ length) else {
            fragments.drop(slot, &context)
            throw .noMemory
        }
        defer { context.budget.release(cost) }
        let packet = packet(of: slot, header, length)
        fragments.drop(slot, &context)
        counts.datagramsReassembled &+= 1
        // It is no fragment again: the first fragment had every header, and none of them was that of another fragment.
        try unsafe take(packet.span.bytes, PacketMetadata(), interface)
    }

    /// Gives up the datagrams whose time is over, and says so where the first fragment came (RFC 792, RFC 4443 §3.3).
    mutating func expireFragments() {
        while let slot = fragments.expired(at: context.now) {
            if fragments.datagrams[slot].fault == nil {
                counts.count(.fragmentTimeout)
                reportTimeout(slot)
            }
            fragments.drop(slot, &context)
        }
    }

    private mutating func reportTimeout(_ slot: UInt32) {
        guard let (ip, count) = fragments.datagrams[slot].firstFragment else { return }
        let local = fragments.datagrams[slot].key.local
        guard addresses[Int(local)].isActive, ip.fragment != nil else { return }
        let length = min(count, 1280)
        var packet = [UInt8](repeating: 0, count: 48 &+ length)
        var octets = packet.mutableSpan
        // Safe: every octet of the array may have any value.
        var span = unsafe octets.mutableBytes
        let offset = ip.write(to: &span, payloadLength: count)
        fragments.datagrams[slot].queue.copyPlaced(length, to: &span, at: offset, context.pool)
        var header = ip
        header.totalLength = offset &+ length
        header.headerLength = offset
        report(.reassemblyTimeExceeded, about: unsafe packet.span.bytes, header, local)
    }

    private mutating func reservePacket(_ bytes: Int) -> Int? {
        if context.budget.reserve(bytes) { return bytes }
        context.pool.trim(all: true, &context.budget)
        return context.budget.reserve(bytes) ? bytes : nil
    }

    private func packet(of slot: UInt32, _ header: IPHeader, _ length: Int) -> [UInt8] {
        var packet = [UInt8](repeating: 0, count: header.headerLength &+ length)
        var octets = packet.mutableSpan
        // Safe: every octet of the array may have any value.
        var span = unsafe octets.mutableBytes
        let offset = header.write(to: &span, payloadLength: length)
        fragments.datagrams[slot].queue.copy(from: 0, count: length, to: &span, at: offset, context.pool)
        return packet
    }
}

extension Configuration {
    /// The limits on fragments, kept to what the table can work with.
    var fragmentLimits: FragmentTable.Limits {
        FragmentTable.Limits(
            datagrams: min(max(reassemblyDatagrams, 1), 256),
            bytes: min(max(reassemblyBytes, 0), memoryBudget / 4), fragments: min(max(reassemblyFragments, 2), 8192),
            timeout: max(reassemblyTimeout.nanoseconds, 1))
    }
}
