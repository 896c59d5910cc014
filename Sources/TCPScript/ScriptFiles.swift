internal import Glibc

/// Finds and reads script files.
public enum ScriptFiles {
    /// A file or folder that cannot be read.
    public struct Fault: Error, Equatable, Sendable, CustomStringConvertible {
        /// What was asked for.
        public var path: String
        /// The system's error number.
        public var code: Int32

        /// One clause.
        public var description: String { "cannot read '\(path)': \(String(cString: strerror(code)))" }
    }

    /// A file's octets.
    public static func read(_ path: String) throws(Fault) -> [UInt8] {
        guard let file = fopen(path, "r") else { throw Fault(path: path, code: errno) }
        defer { fclose(file) }
        var octets: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = fread(&buffer, 1, buffer.count, file)
            octets += buffer[0..<count]
            if count < buffer.count { break }
        }
        guard ferror(file) == 0 else { throw Fault(path: path, code: errno) }
        return octets
    }

    /// The scripts a path stands for: a file itself, a folder all files in it and below whose name ends in `.pkt`, by name.
    public static func scripts(at path: String) throws(Fault) -> [String] {
        guard try isFolder(path) else { return [path] }
        guard let folder = opendir(path) else { throw Fault(path: path, code: errno) }
        defer { closedir(folder) }
        var names: [String] = []
        while let entry = readdir(folder) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if !name.hasPrefix(".") { names.append(name) }
        }
        var result: [String] = []
        for name in names.sorted() {
            let inner = path.hasSuffix("/") ? path + name : path + "/" + name
            if try isFolder(inner) {
                result += try scripts(at: inner)
            } else if name.hasSuffix(".pkt") {
                result.append(inner)
            }
        }
        return result
    }

    private static func isFolder(_ path: String) throws(Fault) -> Bool {
        var status = stat()
        guard stat(path, &status) == 0 else { throw Fault(path: path, code: errno) }
        return status.st_mode & S_IFMT == S_IFDIR
    }
}
