extension IPAddress {
    /// Reads an address as people write it: dotted decimal, or RFC 4291 §2.2 text. `nil` when it is neither.
    public init?(_ text: some StringProtocol) {
        let octets = Array(text.utf8)
        if octets.contains(UInt8(ascii: ":")) {
            guard let value = IPAddress.ipv6(octets[...]) else { return nil }
            self = value
        } else {
            guard let bits = IPAddress.ipv4(octets[...]) else { return nil }
            self.init(ipv4: bits)
        }
    }

    private static func ipv4(_ text: ArraySlice<UInt8>) -> UInt32? {
        var bits: UInt32 = 0
        let parts = text.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        for part in parts {
            guard let octet = decimal(part, limit: 255), part.count == 1 || part.first != UInt8(ascii: "0") else {
                return nil
            }
            bits = bits &<< 8 | UInt32(octet)
        }
        return bits
    }

    static func decimal(_ digits: ArraySlice<UInt8>, limit: Int) -> Int? {
        guard (1...9).contains(digits.count) else { return nil }
        var value = 0
        for digit in digits {
            guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit) else { return nil }
            value = value * 10 + Int(digit - UInt8(ascii: "0"))
        }
        return value <= limit ? value : nil
    }

    private static func ipv6(_ text: ArraySlice<UInt8>) -> IPAddress? {
        var groups: [UInt16] = []
        var gap: Int?
        var fields = text.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
        // "::" at an end gives two empty fields there, one of which is the gap; a single ":" there is a mistake.
        if fields[0].isEmpty {
            guard fields.count > 2, fields[1].isEmpty else { return nil }
            fields.removeFirst()
        }
        if fields.count > 1, fields[fields.count - 1].isEmpty {
            guard fields[fields.count - 2].isEmpty else { return nil }
            fields.removeLast()
        }
        for (index, field) in fields.enumerated() {
            if field.isEmpty {
                guard gap == nil else { return nil }
                gap = groups.count
            } else if index == fields.count - 1, field.contains(UInt8(ascii: ".")) {
                guard let bits = ipv4(field) else { return nil }
                groups.append(UInt16(truncatingIfNeeded: bits &>> 16))
                groups.append(UInt16(truncatingIfNeeded: bits))
            } else {
                guard let group = hexadecimal(field) else { return nil }
                groups.append(group)
            }
        }
        if let gap {
            guard groups.count < 8 else { return nil }
            groups.insert(contentsOf: repeatElement(0, count: 8 - groups.count), at: gap)
        }
        guard groups.count == 8 else { return nil }
        var address = IPAddress(high: 0, low: 0)
        for index in 0..<4 {
            address.high = address.high &<< 16 | UInt64(groups[index])
            address.low = address.low &<< 16 | UInt64(groups[index + 4])
        }
        return address
    }

    private static func hexadecimal(_ digits: ArraySlice<UInt8>) -> UInt16? {
        guard (1...4).contains(digits.count) else { return nil }
        var value: UInt16 = 0
        for digit in digits {
            let nibble: UInt8
            switch digit {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): nibble = digit - UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f"): nibble = digit - UInt8(ascii: "a") + 10
            case UInt8(ascii: "A")...UInt8(ascii: "F"): nibble = digit - UInt8(ascii: "A") + 10
            default: return nil
            }
            value = value &<< 4 | UInt16(nibble)
        }
        return value
    }
}

extension IPAddress: CustomStringConvertible {
    /// The address as RFC 5952 writes it.
    public var description: String {
        if isIPv4 {
            let bits = ipv4Bits
            return "\(bits &>> 24).\(bits &>> 16 & 255).\(bits &>> 8 & 255).\(bits & 255)"
        }
        let groups = (0..<8).map { index in
            UInt16(truncatingIfNeeded: (index < 4 ? high : low) &>> UInt64(16 * (3 - index % 4)))
        }
        let run = IPAddress.longestZeroRun(groups)
        var text = ""
        var index = 0
        while index < 8 {
            if index == run.lowerBound, run.count > 1 {
                text += "::"
                index = run.upperBound
                continue
            }
            if index > 0, index != run.upperBound || run.count < 2 { text += ":" }
            text += String(groups[index], radix: 16)
            index += 1
        }
        return text
    }

    private static func longestZeroRun(_ groups: [UInt16]) -> Range<Int> {
        var best = 0..<0
        var start = 0
        while start < groups.count {
            var end = start
            while end < groups.count, groups[end] == 0 { end += 1 }
            if end - start > best.count { best = start..<end }
            start = max(end, start + 1)
        }
        return best
    }
}

extension AddressPrefix: CustomStringConvertible {
    /// Reads `address/length`; without a length the whole address is the prefix. `nil` when it is neither.
    public init?(_ text: some StringProtocol) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count <= 2, let address = IPAddress(parts[0]) else { return nil }
        var length = address.bitWidth
        if parts.count == 2 {
            guard let number = IPAddress.decimal(Array(parts[1].utf8)[...], limit: length) else { return nil }
            length = number
        }
        self.init(address, length: length)
    }

    /// `address/length`.
    public var description: String { "\(address)/\(length)" }
}

extension Endpoint: CustomStringConvertible {
    /// `10.0.0.1:80` or `[fd00::1]:80`.
    public var description: String { address.isIPv4 ? "\(address):\(port)" : "[\(address)]:\(port)" }
}
