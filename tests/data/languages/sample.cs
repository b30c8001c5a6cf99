// about
using System;
namespace Acme.Keys
{
    /// <summary>Signs.</summary>
    [Serializable]
    public class Signer : Base
    {
        private int x = 1;
        public Signer(int a) { x = a; }
        public string Name { get; set; }
        public int Sign(string s) { return 1; }
        enum Mode { A, B }
    }
    public interface ISign { int Sign(string s); }
    public struct P { public int X; }
    public record R(int A);
    public delegate void Done(int code);
}
