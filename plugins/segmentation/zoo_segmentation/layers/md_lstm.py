class MDLSTM: pass
